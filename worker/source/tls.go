package source

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
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
		pem, err := os.ReadFile(t.SSLCA)
		if err != nil {
			return nil, &FileError{"ssl-ca", err}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &FileError{"ssl-ca", fmt.Errorf("%s: no PEM certificate in it", t.SSLCA)}
		}
	}
	if t.SSLCert != "" {
		pair, err := tls.LoadX509KeyPair(t.SSLCert, t.SSLKey)
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
