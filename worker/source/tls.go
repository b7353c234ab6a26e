package source

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"syscall"
)

// tlsConfig returns how to protect a connection to t, or nil for plain text.
// offered says whether the server offers TLS.
func (t Target) tlsConfig(offered bool) (*tls.Config, error) {
	if t.SSLMode == SSLDisabled || t.SSLMode == SSLPreferred && !offered {
		return nil, nil
	}
	if !offered {
		return nil, &UnfitError{Address: t.Address(), Problem: fmt.Sprintf("it offers no TLS, and ssl-mode is %s", t.SSLMode),
			Advice: "set up TLS on the server, or use ssl-mode=PREFERRED"}
	}
	config := &tls.Config{ServerName: t.Host, MinVersion: tls.VersionTLS12}
	if t.SSLCA != "" {
		pem, err := readPEM(t.SSLCA)
		if err != nil {
			return nil, &FileError{"ssl-ca", err}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &FileError{"ssl-ca", fmt.Errorf("%s: no PEM certificate in it", t.SSLCA)}
		}
	}
	if t.SSLCert != "" {
		pair, err := loadPair(t.SSLCert, t.SSLKey)
		if err != nil {
			return nil, &FileError{"ssl-cert and ssl-key", fmt.Errorf("%s, %s: %w", t.SSLCert, t.SSLKey, err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if t.SSLMode != SSLVerifyIdentity {
		config.InsecureSkipVerify = true // the chain is verified below, where it is asked for
	}
	if t.SSLMode == SSLVerifyCA {
		config.VerifyConnection = verifyChain(config.RootCAs)
	}
	return config, nil
}

// loadPair reads a certificate and its key.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readPEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// maxPEM is the size, in bytes, of the largest file of certificates: four times
// that of a system's bundle of all public authorities.
const maxPEM = 1 << 20

// readPEM reads an ordinary file. Who writes the URL need not be who runs this
// process: a pipe would hold it up for ever, and a device fill its memory.
func readPEM(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is no ordinary file", path)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("%s: it is larger than %d bytes", path, maxPEM)
	}
	return io.ReadAll(io.LimitReader(f, maxPEM))
}

// verifies reports whether the mode asks for a certificate that an authority has signed.
func (t Target) verifies() bool { return t.SSLMode == SSLVerifyCA || t.SSLMode == SSLVerifyIdentity }

// unverified is the warning that the server at t, whichever it is, has got the password.
func (t Target) unverified() string {
	return fmt.Sprintf("%s has asked for the whole password of %s, and got it inside TLS, though ssl-mode=%s verifies no certificate: "+
		"ssl-mode=VERIFY_CA with ssl-ca in the source's URL does, and VERIFY_IDENTITY the host's name, too", t.Address(), t.User, t.SSLMode)
}

// verifyChain checks the server's certificate against the authorities, whatever
// host it is for.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}
