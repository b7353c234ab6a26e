package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/internal/cli"
)

// What cannot work is refused at once, and no URL is repeated: it may hold a secret.
func TestWrongFlags(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	newer := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(newer, []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--webhook", "hooks.example/secret"}, cli.BadUsage, "--webhook: want a URL"},
		{[]string{"--alertmanager", "secret"}, cli.BadUsage, "--alertmanager: want a URL"},
		{[]string{"--heartbeat-url", "ftp://secret"}, cli.BadUsage, "--heartbeat-url: want a URL"},
		{[]string{"--repeat-interval", "0s"}, cli.BadUsage, "repeat-interval"},
		{[]string{"--stall-after", "soon"}, cli.BadUsage, "stall-after"},
		{[]string{"surplus"}, cli.BadUsage, "surplus"},
		{[]string{"--listen", taken.Addr().String()}, cli.Failed, "the port is taken"},
		{[]string{"--state-file", newer}, cli.Failed, "it has format 2"},
		{[]string{"--state-file", filepath.Join(t.TempDir(), "none", "s")}, cli.Failed, "no such file"},
	}
	for _, test := range tests {
		cmd := command()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(test.args)
		if code := cli.Run("monitor", cmd); code != test.code || !strings.Contains(out.String(), test.want) {
			t.Errorf("%q: exit %d, %q; want %d, %q", test.args, code, out.String(), test.code, test.want)
		}
		if strings.Contains(out.String(), "secret") {
			t.Errorf("%q: it shows the secret: %s", test.args, out.String())
		}
	}
}
