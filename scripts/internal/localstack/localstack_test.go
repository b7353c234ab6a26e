package localstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/internal/servers"
)

func TestParseKind(t *testing.T) {
	tests := []struct {
		in         string
		want       servers.Kind
		wantChosen bool
		wantErr    bool
	}{
		{in: "", want: servers.MySQL},
		{in: "mysql", want: servers.MySQL, wantChosen: true},
		{in: "mariadb-11.8", want: servers.MariaDB118, wantChosen: true},
		{in: "postgres", wantChosen: true, wantErr: true},
	}
	for _, test := range tests {
		got, chosen, err := ParseKind(test.in)
		if got != test.want || chosen != test.wantChosen || (err != nil) != test.wantErr {
			t.Errorf("ParseKind(%q) = %q, %t, %v, want %q, %t, error %t", test.in, got, chosen, err, test.want, test.wantChosen, test.wantErr)
		}
	}
}

// What the demo proves hangs on cmp, and on a pipe's end being its outcome.
func TestShellFindsDifferences(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := write("whole", "all of it")
	tests := []struct {
		name   string
		script string
		other  string
		want   string // in the error, empty means success
	}{
		{name: "equal", script: `cmp "$1" "$2"`, other: write("equal", "all of it")},
		{name: "another byte", script: `cmp "$1" "$2"`, other: write("other", "all of It"), want: "differ"},
		{name: "cut off", script: `cmp "$1" "$2"`, other: write("short", "all of"), want: "EOF on"},
		{name: "missing", script: `cmp "$1" "$2"`, other: filepath.Join(dir, "none"), want: "No such file"},
		{name: "piped", script: `cat "$2" | cmp - "$1"`, other: write("piped", "all of it")},
		{name: "piped, cut off", script: `cat "$2" | cmp - "$1"`, other: write("piped-short", "all of"), want: "EOF on"},
		{name: "piped, missing", script: `cat "$2" | cmp - "$1"`, other: filepath.Join(dir, "none"), want: "EOF on"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Shell(t.Context(), test.script, whole, test.other)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}
