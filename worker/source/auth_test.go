package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// What a server may ask for, that it never gets.
func TestPasswordIsNotGivenAway(t *testing.T) {
	sendsKey := says("\x01" + publicKey())
	tests := []struct {
		name   string
		plugin string
		tls    bool
		mode   SSLMode
		script []reply
		says   string // in the error
		hint   string
	}{
		{"switch to clear text", "mysql_native_password", false, SSLPreferred, []reply{says(toClear), says(okPacket)}, "mysql_clear_password", "caching_sha2_password"},
		{"inside TLS, too", "mysql_native_password", true, SSLRequired, []reply{says(toClear), says(okPacket)}, "mysql_clear_password", "caching_sha2_password"},
		{"clear text from the start", "mysql_clear_password", false, SSLPreferred, []reply{says(okPacket)}, "mysql_clear_password", "caching_sha2_password"},
		{"clear text from the start, inside TLS", "mysql_clear_password", true, SSLRequired, []reply{says(okPacket)}, "mysql_clear_password", "caching_sha2_password"},
		{"full authentication with the peer's key", "caching_sha2_password", false, SSLPreferred, []reply{says(wantsFull), sendsKey, says(okPacket)},
			"whole password", "get-server-public-key=true"},
		{"where TLS was not wanted", "caching_sha2_password", false, SSLDisabled, []reply{says(wantsFull), sendsKey, says(okPacket)}, "whole password", "get-server-public-key=true"},
		{"after a switch", "mysql_native_password", false, SSLPreferred, []reply{says(toCaching), says(wantsFull), sendsKey, says(okPacket)},
			"whole password", "get-server-public-key=true"},
		{"the older plugin", "sha256_password", false, SSLPreferred, []reply{sendsKey, says(okPacket)}, "whole password", "get-server-public-key=true"},
		{"switch to the older plugin", "mysql_native_password", false, SSLPreferred, []reply{says(toSHA256), sendsKey, says(okPacket)},
			"whole password", "get-server-public-key=true"},
		{"a second switch", "mysql_native_password", true, SSLRequired, []reply{says(toNative), says(toClear), says(okPacket)}, "malformed", "host and port"},
		{"another plugin", "mysql_native_password", true, SSLRequired, []reply{says("\xfedialog\x00Password: "), says(okPacket)}, `"dialog"`, "caching_sha2_password"},
		{"the oldest plugin", "mysql_native_password", true, SSLRequired, []reply{says("\xfe"), says(okPacket)}, `"mysql_old_password"`, "caching_sha2_password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &peer{plugin: tt.plugin, script: tt.script}
			if tt.tls {
				p.tls, _ = serverTLS(t)
			}
			target := p.listen(t)
			target.SSLMode = tt.mode
			_, received, err := p.connect(t, target)
			var unfit *UnfitError
			if !errors.As(err, &unfit) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(unfit.Hint(), tt.hint) {
				t.Errorf("%v, want an *UnfitError with %q, and the hint %q", err, tt.says, tt.hint)
			}
			checkKept(t, received)
		})
	}
}

// What a server gets that asks as it may.
func TestPasswordIsGiven(t *testing.T) {
	got := ""
	sendsKey := says("\x01" + publicKey())
	decrypts := func(packet []byte) []byte {
		plain, err := rsa.DecryptOAEP(sha1.New(), nil, theKey(), packet, nil)
		if err != nil {
			t.Error(err)
		}
		got = unmasked(plain)
		return []byte(okPacket)
	}
	reads := func(packet []byte) []byte { got = strings.TrimSuffix(string(packet), "\x00"); return []byte(okPacket) }
	within := func(packet []byte) []byte {
		if !bytes.Contains(packet, []byte(thePassword+"\x00")) {
			t.Errorf("%q", packet)
		}
		got = thePassword
		return []byte(okPacket)
	}
	tests := []struct {
		name    string
		plugin  string
		mode    SSLMode // over TLS, unless it is DISABLED
		key     bool    // get-server-public-key
		script  []reply
		whole   bool // wants the password to arrive
		warning string
	}{
		{"a challenge", "mysql_native_password", SSLDisabled, false, []reply{says(okPacket)}, false, ""},
		{"another challenge", "mysql_native_password", SSLDisabled, false, []reply{says(toCaching), says(wantsFast + okAfter)}, false, ""},
		{"the fast path", "caching_sha2_password", SSLDisabled, false, []reply{says(wantsFast + okAfter)}, false, ""},
		{"with the server's key", "caching_sha2_password", SSLDisabled, true, []reply{says(wantsFull), sendsKey, decrypts}, true, ""},
		{"with the server's key, after a switch", "mysql_native_password", SSLDisabled, true, []reply{says(toSHA256), sendsKey, decrypts}, true, ""},
		{"inside TLS", "caching_sha2_password", SSLPreferred, false, []reply{says(wantsFull), reads}, true, "ssl-mode=VERIFY_CA"},
		{"inside TLS that is required", "sha256_password", SSLRequired, false, []reply{within}, true, "ssl-mode=VERIFY_CA"},
		{"inside TLS with a certificate", "caching_sha2_password", SSLVerifyCA, false, []reply{says(wantsFull), reads}, true, ""},
		{"inside TLS with the host's certificate", "mysql_native_password", SSLVerifyIdentity, false, []reply{says(toSHA256), reads}, true, ""},
		{"the fast path inside TLS", "caching_sha2_password", SSLPreferred, false, []reply{says(wantsFast + okAfter)}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got = ""
			config, ca := serverTLS(t)
			p := &peer{plugin: tt.plugin, script: tt.script}
			if tt.mode != SSLDisabled {
				p.tls = config
			}
			target := p.listen(t)
			target.SSLMode, target.GetServerPublicKey = tt.mode, tt.key
			if target.verifies() {
				target.SSLCA = ca
			}
			warning, received, err := p.connect(t, target)
			if err != nil || (warning == "") != (tt.warning == "") || !strings.Contains(warning, tt.warning) {
				t.Errorf("%v, warning %q; want %q", err, warning, tt.warning)
			}
			if p.started != (tt.mode != SSLDisabled) {
				t.Errorf("TLS: %v", p.started)
			}
			if tt.whole && got != thePassword {
				t.Errorf("the server has got %q", got)
			}
			if !tt.whole {
				checkKept(t, received)
			}
		})
	}
}

// MariaDB's documentation has the public key of the password "secret".
func TestEd25519(t *testing.T) {
	public, err := base64.RawStdEncoding.DecodeString("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY")
	if err != nil {
		t.Fatal(err)
	}
	nonce := theSalt + "01234567890\x00"
	verifies := func(packet []byte) []byte {
		if !ed25519.Verify(public, []byte(nonce), packet) {
			t.Errorf("%d bytes, not the signature", len(packet))
		}
		return []byte(okPacket)
	}
	p := &peer{plugin: "mysql_native_password", script: []reply{says("\xfeclient_ed25519\x00" + nonce), verifies}}
	conn, err := Connect(t.Context(), p.listen(t), Options{Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.Warning() != "" {
		t.Errorf("warning %q", conn.Warning())
	}
}

// Commands and their answers follow the authentication on the same connection.
func TestCommandsAfterTheAuthentication(t *testing.T) {
	asked := ""
	asks := func(packet []byte) []byte { asked = string(packet[1:]); return []byte(okPacket) }
	p := &peer{plugin: "caching_sha2_password", script: []reply{says(wantsFast + okAfter), asks, says("\xff\x15\x04#28000no")}}
	conn, err := Connect(t.Context(), p.listen(t), Options{Password: thePassword})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if rows, err := conn.rows(t.Context(), "SET @a = 1", 0); err != nil || len(rows) > 0 || asked != "SET @a = 1" {
		t.Errorf("%v, %v, the server was asked %q", rows, err, asked)
	}
	if _, err := conn.rows(t.Context(), "SET @a = 2", 0); !isRefused(err) {
		t.Errorf("refused: %v", err)
	}
}

// FuzzAuthentication lets a server say anything over a connection without TLS: it never gets the password, but encrypted
// where that is allowed.
func FuzzAuthentication(f *testing.F) {
	for _, plugin := range []string{"mysql_native_password", "caching_sha2_password", "sha256_password", "mysql_clear_password", "client_ed25519"} {
		for _, says := range []string{okPacket, toClear, wantsFast, wantsFull, "\x01" + publicKey(), "", "\xfe", "\xff", "\xfeclient_ed25519\x00" + theSalt + theSalt} {
			f.Add(plugin, says, wantsFull, "\x01"+publicKey(), true)
		}
		f.Add(plugin, toCaching, wantsFull, "\x01"+publicKey(), false)
		f.Add(plugin, toSHA256, "\x01"+publicKey(), okPacket, false)
		f.Add(plugin, toSHA256, "\x01"+ellipticKey, okPacket, true)
	}
	f.Fuzz(func(t *testing.T, plugin, first, second, third string, key bool) {
		answers := ""
		for n, body := range []string{first, second, third} {
			if len(body) > 1<<16 {
				return
			}
			answers += string(binary.LittleEndian.AppendUint32(nil, uint32(len(body))|uint32(2+2*n)<<24)) + body
		}
		conn := &mouth{Reader: strings.NewReader(answers)}
		g := greeting{version: "9.7.0", capabilities: needed, plugin: plugin, salt: []byte(theSalt)}
		err := newAuthentication(conn, Target{User: "backup", Host: "db1", Port: 3306, GetServerPublicKey: key}, thePassword, g).run()
		if ok := func(body string) bool { return strings.HasPrefix(body, "\x00") }; err == nil && !slices.ContainsFunc([]string{first, second, third}, ok) {
			t.Error("authenticated without the server's word")
		}
		if !key {
			checkKept(t, conn.written.Bytes())
		} else if bytes.Contains(conn.written.Bytes(), []byte(thePassword)) {
			t.Error("the password as it is")
		}
	})
}

// ellipticKey is a public key, with which nothing can be encrypted.
const ellipticKey = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8vdfVvBSudtLeARo1frgUGWi6OYl\nmuk7jMOth+gFrXuJ9s1XgiCc+DcjY3NanVhMbQvMi1q2ykaBM6KbxE2rnA==\n-----END PUBLIC KEY-----\n"

// A key that is none is an answer that means nothing.
func TestBadKey(t *testing.T) {
	for _, key := range []string{"", "key", ellipticKey} {
		p := &peer{plugin: "caching_sha2_password", script: []reply{says(wantsFull), says("\x01" + key), says(okPacket)}}
		target := p.listen(t)
		target.GetServerPublicKey = true
		var unfit *UnfitError
		if _, _, err := p.connect(t, target); !errors.As(err, &unfit) || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// A mouth is a connection of which only reading and writing matter.
type mouth struct {
	net.Conn
	io.Reader
	written bytes.Buffer
}

func (m *mouth) Read(p []byte) (int, error)  { return m.Reader.Read(p) }
func (m *mouth) Write(p []byte) (int, error) { return m.written.Write(p) }

// checkKept wants the password not to be in what a peer has got, also not encrypted for its key.
func checkKept(t *testing.T, received []byte) {
	t.Helper()
	if bytes.Contains(received, []byte(thePassword)) {
		t.Errorf("the password is in %q", received)
	}
	for at := range received {
		if end := at + theKey().Size(); end <= len(received) {
			if plain, err := rsa.DecryptOAEP(sha1.New(), nil, theKey(), received[at:end], nil); err == nil {
				t.Errorf("the password is in %q, encrypted as %q", received, unmasked(plain))
			}
		}
	}
}

// unmasked is a password before the salt was mixed into it.
func unmasked(plain []byte) string {
	out := slices.Clone(plain)
	for i := range out {
		out[i] ^= theSalt[i%len(theSalt)]
	}
	return strings.TrimSuffix(string(out), "\x00")
}
