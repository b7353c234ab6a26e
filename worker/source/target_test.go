package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/gtid"
)

func TestParseURL(t *testing.T) {
	plain := Target{User: "backup", Host: "db1", Port: 3306, SSLMode: SSLPreferred}
	with := func(change func(*Target)) Target { t := plain; change(&t); return t }
	tests := []struct {
		in      string
		want    Target
		text    string // of want, when it is not in
		wantErr string // substring; empty means success
	}{
		{in: "mysql://backup@db1:3306", want: plain},
		{in: "mysql://backup@db1/", want: plain, text: "mysql://backup@db1:3306"},
		{in: "mysql://backup@db1:3306?ssl-mode=preferred", want: plain, text: "mysql://backup@db1:3306"},
		{in: "mysql://backup@[2001:db8::1]:13306", want: with(func(t *Target) { t.Host, t.Port = "2001:db8::1", 13306 })},
		{in: "mysql://b%40ckup@db1:3306", want: with(func(t *Target) { t.User = "b@ckup" })},
		{in: "mysql://backup@db1:3306?ssl-mode=Verify_Identity", text: "mysql://backup@db1:3306?ssl-mode=VERIFY_IDENTITY",
			want: with(func(t *Target) { t.SSLMode = SSLVerifyIdentity })},
		{in: "mysql://backup@db1:3306?ssl-ca=/etc/ca.pem", want: with(func(t *Target) { t.SSLMode, t.SSLCA = SSLVerifyCA, "/etc/ca.pem" })},
		{in: "mysql://backup@db1:3306?ssl-mode=REQUIRED&ssl-ca=/etc/c%26a.pem&ssl-cert=/c&ssl-key=/k",
			want: with(func(t *Target) { t.SSLMode, t.SSLCA, t.SSLCert, t.SSLKey = SSLRequired, "/etc/c&a.pem", "/c", "/k" })},
		{in: "mysql://backup@db1:3306?ssl-mode=DISABLED&get-server-public-key=true",
			want: with(func(t *Target) { t.SSLMode, t.GetServerPublicKey = SSLDisabled, true })},
		{in: "mysql://backup@db1?get-server-public-key=false", want: plain, text: "mysql://backup@db1:3306"},
		{in: "mysql://backup@db1?get-server-public-key=yes", wantErr: "neither true nor false"},
		{in: "mysql://backup:secret@db1", wantErr: "password"},
		{in: "mysql://backup:@db1", wantErr: "password"},
		{in: "mysql://db1", wantErr: "no user"},
		{in: "mysql://backup@", wantErr: "no host"},
		{in: "mysql://backup@:3306", wantErr: "no host"},
		{in: "mysql://backup@::", wantErr: "IPv6"},
		{in: "mysql://backup@db1:0", wantErr: "port"},
		{in: "mysql://backup@db1:70000", wantErr: "port"},
		{in: "mysql://backup@db1/schema", wantErr: "form"},
		{in: "http://backup@db1", wantErr: "form"},
		{in: "backup@db1", wantErr: "form"},
		{in: "mysql://backup@db1:secret@x", wantErr: "password"},
		{in: "", wantErr: "form"},
		{in: "mysql://backup@db1?timeout=3", wantErr: "unknown"},
		{in: "mysql://backup@db1?ssl-mode=maybe", wantErr: "ssl-mode"},
		{in: "mysql://backup@db1?ssl-mode=", wantErr: "empty"},
		{in: "mysql://backup@db1?ssl-ca=a&ssl-ca=b", wantErr: "more than once"},
		{in: "mysql://backup@db1?ssl-cert=a", wantErr: "belong together"},
		{in: "mysql://backup@db1?%zz", wantErr: "parameters"},
	}
	for _, tt := range tests {
		got, err := ParseURL(tt.in)
		if tt.wantErr != "" {
			var hinter interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) || !errors.As(err, &hinter) || hinter.Hint() == "" {
				t.Errorf("%s: %v, want %q and a hint", tt.in, err, tt.wantErr)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v tells the password", tt.in, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
		text := tt.text
		if text == "" {
			text = tt.in
		}
		if got.String() != text {
			t.Errorf("%s: String %s, want %s", tt.in, got, text)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("mysql://backup@db1:3306?ssl-mode=REQUIRED&ssl-ca=/etc/ca.pem")
	f.Add("mysql://backup@db1:3306?get-server-public-key=true")
	f.Add("mysql://0@::")
	f.Add("mysql://0@::%25\xf3:")
	f.Add("mysql://b%40ckup@[::1%25eth0]:1?ssl-cert=a&ssl-key=b")
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseURL(text)
		if err != nil {
			return
		}
		again, err := ParseURL(target.String())
		if err != nil || again != target {
			t.Errorf("%q: %+v, then %+v, %v from %s", text, target, again, err, target)
		}
	})
}

// listen answers each connection with what it says first, and keeps it open.
func listen(t *testing.T, says string) Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(says))
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return Target{User: "backup", Host: "127.0.0.1", Port: uint16(listener.Addr().(*net.TCPAddr).Port), SSLMode: SSLPreferred}
}

// hello is the greeting of a server without TLS.
func hello() string {
	body := []byte("\x0a8.0.0\x00\x01\x00\x00\x0012345678\x00\x00\xa2\xff\x02\x00\xff\xc7\x15" + strings.Repeat("\x00", 10) + "123456789012\x00mysql_native_password\x00")
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + string(body)
}

func TestConnectRefuses(t *testing.T) {
	var unfit *UnfitError
	var denied *DeniedError
	tests := []struct {
		name string
		says string
		mode SSLMode
		want any
		text string
	}{
		{"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", SSLPreferred, &unfit, "does not speak the MySQL protocol"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", SSLPreferred, &unfit, "does not speak the MySQL protocol"},
		{"X protocol", "\x05\x00\x00\x00\x0b\x08\x05\x1a\x00", SSLPreferred, &unfit, "protocol version 11"},
		{"short greeting", "\x03\x00\x00\x00\x0aab", SSLPreferred, &unfit, "too short"},
		{"greeting cut off", "\x14\x00\x00\x00\x0a8\x00123412345678\x00\x00\x02xyz", SSLPreferred, &unfit, "too short"},
		{"host not allowed", "\x1d\x00\x00\x00\xff\x6a\x04#HY000Host 'x' is not allowed", SSLPreferred, &denied, "Host 'x'"},
		{"too many connections", "\x17\x00\x00\x00\xff\x10\x04Too many connections", SSLPreferred, ErrUnreachable, "Too many connections"},
		{"no TLS", hello(), SSLRequired, &unfit, "offers no TLS"},
	}
	for _, tt := range tests {
		target := listen(t, tt.says)
		target.SSLMode = tt.mode
		_, err := Connect(t.Context(), target, Options{})
		sentinel, _ := tt.want.(error)
		if sentinel != nil && !errors.Is(err, sentinel) || sentinel == nil && !errors.As(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %T with %q", tt.name, err, tt.want, tt.text)
		}
		var hinter interface{ Hint() string }
		if !errors.As(err, &hinter) || hinter.Hint() == "" {
			t.Errorf("%s: %v has no hint", tt.name, err)
		}
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	reason := errors.New("stopping")
	for name, says := range map[string]string{"mute server": "", "mute after the greeting": hello()} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(reason) })
		if _, err := Connect(ctx, listen(t, says), Options{}); !errors.Is(err, reason) || !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want %v", name, err, reason)
		}
	}
	target := listen(t, "")
	target.Port = 1 // nobody listens there
	if _, err := Connect(t.Context(), target, Options{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(hello()))
	f.Add([]byte("\x1d\x00\x00\x00\xff\x6a\x04#HY000Host 'x' is not allowed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readGreeting(bytes.NewReader(b))
		if err == nil && (len(got.salt) != saltSize || !bytes.Contains(b, got.salt[:8]) || !bytes.Contains(b, []byte(got.version+"\x00"))) {
			t.Errorf("%+v is not what came", got)
		}
	})
}

func TestIdentity(t *testing.T) {
	for want, s := range map[string]Server{
		"0a0b-01":           {Flavor: gtid.MySQL, UUID: "0a0b-01", ServerID: 5},
		"server id 5":       {Flavor: gtid.MariaDB, ServerID: 5},
		"server id 5 a/b+c": {Flavor: gtid.MariaDB, ServerID: 5, ServerUID: "a/b+c"},
	} {
		if got := s.Identity().String(); got != want {
			t.Errorf("%+v: got %q, want %q", s, got, want)
		}
	}
}

// A URL may name any file, and must not hold the process up with it.
func TestFilesOfTheURL(t *testing.T) {
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, maxPEM+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		pipe: "no ordinary file", "/dev/zero": "no ordinary file", dir: "no ordinary file", large: "larger than", dir + "/missing": "no such file",
	} {
		for _, target := range []Target{{SSLMode: SSLVerifyCA, SSLCA: path}, {SSLMode: SSLRequired, SSLCert: path, SSLKey: path}} {
			var file *FileError
			if _, err := target.tlsConfig(true); !errors.As(err, &file) || !strings.Contains(err.Error(), says) || file.Hint() == "" {
				t.Errorf("%s: %v, want %q", path, err, says)
			}
		}
	}
}
