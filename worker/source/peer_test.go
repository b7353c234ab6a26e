package source

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const thePassword = "correct horse battery staple"

// A peer is a server that says what a test wants, and records what it is sent.
type peer struct {
	plugin string      // in its greeting
	tls    *tls.Config // nil: it offers none
	script []reply

	received []byte // all that came in packets, inside TLS decrypted
	started  bool   // TLS
	served   sync.WaitGroup
}

// A reply is what a peer does once a packet has come, or returns nil to say nothing more.
type reply func(packet []byte) (answer []byte)

// says is a reply that answers whatever has come.
func says(answer string) reply { return func([]byte) []byte { return []byte(answer) } }

const (
	andThen   = "|then|" // between two packets of one reply
	okAfter   = andThen + okPacket
	okPacket  = "\x00\x00\x00\x02\x00\x00\x00"
	wantsFast = "\x01\x03"
	wantsFull = "\x01\x04"
	theSalt   = "01234567890123456789"
	toClear   = "\xfemysql_clear_password\x00" + theSalt + "\x00"
	toCaching = "\xfecaching_sha2_password\x00" + theSalt + "\x00"
	toSHA256  = "\xfesha256_password\x00" + theSalt + "\x00"
	toNative  = "\xfemysql_native_password\x00" + theSalt + "\x00"
)

// listen starts the peer, and returns how to reach it.
func (p *peer) listen(t *testing.T) Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.served.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		p.serve(conn)
	})
	t.Cleanup(func() { _ = listener.Close(); p.served.Wait() })
	return Target{User: "backup", Host: "127.0.0.1", Port: uint16(listener.Addr().(*net.TCPAddr).Port), SSLMode: SSLPreferred}
}

func (p *peer) serve(conn net.Conn) {
	sequence := byte(0)
	write := func(body []byte) {
		packet := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
		packet[3] = sequence
		sequence++
		_, _ = conn.Write(packet)
	}
	read := func() []byte {
		var header [4]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return nil
		}
		body := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
		_, err := io.ReadFull(conn, body)
		p.received = append(append(p.received, header[:]...), body...)
		sequence = header[3] + 1
		if err != nil {
			return nil
		}
		return body
	}
	capabilities := uint32(0xffffffff &^ (1<<11 | 1<<5 | 1<<26)) // but TLS and compression
	if p.tls != nil {
		capabilities |= 1 << 11
	}
	greeting := []byte("\x0a9.7.0\x00\x01\x00\x00\x00" + theSalt[:8] + "\x00")
	greeting = binary.LittleEndian.AppendUint16(greeting, uint16(capabilities))
	greeting = append(greeting, 0xff, 2, 0)
	greeting = binary.LittleEndian.AppendUint16(greeting, uint16(capabilities>>16))
	greeting = append(greeting, 21)
	write(append(greeting, strings.Repeat("\x00", 10)+theSalt[8:]+"\x00"+p.plugin+"\x00"...))
	for _, next := range p.script {
		packet := read()
		if packet == nil {
			return
		}
		if len(packet) == 32 && p.tls != nil && !p.started { // asks for TLS
			inside := tls.Server(conn, p.tls)
			if err := inside.Handshake(); err != nil {
				return
			}
			conn, p.started = inside, true
			packet = read()
		}
		for _, body := range bytes.Split(next(packet), []byte(andThen)) {
			write(body)
		}
	}
	for read() != nil {
	}
}

// connect connects to the peer and closes the connection. It returns the warning, and all that the peer has got.
func (p *peer) connect(t *testing.T, target Target) (warning string, received []byte, err error) {
	t.Helper()
	conn, err := Connect(t.Context(), target, Options{Password: thePassword})
	if err == nil {
		warning = conn.Warning()
		_ = conn.Close()
	}
	p.served.Wait()
	return warning, p.received, err
}

// theKey is a server's, of sha256_password and caching_sha2_password.
var theKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// publicKey is theKey's public half, as a server sends it.
var publicKey = sync.OnceValue(func() string {
	der, err := x509.MarshalPKIXPublicKey(&theKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// serverTLS is a server's side of TLS, and the file of the authority that its certificate is by: itself.
func serverTLS(t *testing.T) (config *tls.Config, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ca
}
