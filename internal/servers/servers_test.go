package servers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFreePort(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < firstPort || port >= lastPort || seen[port] {
			t.Errorf("port %d is out of range or came twice", port)
		}
		seen[port] = true
	}
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("BINKEEPER_SERVERS", t.TempDir())
	_, err := StartSource(t.Context(), SourceOptions{Kind: MySQL, Dir: t.TempDir()})
	var missing *NotInstalledError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v, want a NotInstalledError", err)
	}
	if got, want := missing.Hint(), "run: scripts/install mysql"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := writeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("ca.pem holds no certificate")
	}
	tests := []struct {
		name    string
		options x509.VerifyOptions
	}{
		{name: "server", options: x509.VerifyOptions{DNSName: "127.0.0.1"}},
		{name: "server", options: x509.VerifyOptions{DNSName: "localhost"}},
		{name: "client", options: x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}},
	}
	for _, test := range tests {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, test.name+"-cert.pem"), filepath.Join(dir, test.name+"-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		test.options.Roots = roots
		if _, err := pair.Leaf.Verify(test.options); err != nil {
			t.Errorf("verify %s for %q: %v", test.name, test.options.DNSName, err)
		}
	}
}
