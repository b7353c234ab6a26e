package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A scene is a folder with two that passwords may be taken from, and what lies beside them.
func scene(t *testing.T) (dir string, limits Limits) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"allowed/password": "hunter2\n", "allowed/below/password": "hunter3\n", "elsewhere/password": "stolen\n", "allowed-not/password": "stolen\n",
		"mounted/..2026_11_21/password": "hunter4", "second/password": "hunter5",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	for name, to := range map[string]string{
		"allowed/relative": "below/password", "allowed/absolute": dir + "/allowed/below/password", "allowed/second": dir + "/second/password",
		"allowed/out": "../elsewhere/password", "allowed/out-absolute": dir + "/elsewhere/password", "allowed/folder-out": "../elsewhere",
		"allowed/nowhere": dir + "/elsewhere/missing", "allowed/loop": "loop",
		"link": "allowed", "elsewhere/in": "../allowed/password",
		"mounted/..data": "..2026_11_21", "mounted/password": "..data/password", // as Kubernetes mounts a secret
	} {
		must(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	must(t, syscall.Mkfifo(filepath.Join(dir, "allowed/pipe"), 0o600))
	return dir, Limits{Dirs: []string{dir + "/missing", dir + "/link", dir + "/mounted", dir + "/second"}, EnvPrefix: "SECRET_"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	dir, limits := scene(t)
	t.Setenv("SECRET_ONE", "hunter6")
	t.Setenv("OTHER", "stolen")
	tests := []struct {
		ref  string
		want string // the password; empty: it is not allowed
		err  string // substring of an *Error instead
	}{
		{ref: "file:DIR/allowed/password", want: "hunter2"},
		{ref: "file:DIR/link/password", want: "hunter2"}, // the folder is named by way of a link itself
		{ref: "file:DIR/allowed/below/password", want: "hunter3"},
		{ref: "file:DIR/allowed/relative", want: "hunter3"},
		{ref: "file:DIR/allowed/absolute", want: "hunter3"},
		{ref: "file:DIR/allowed/second", want: "hunter5"},
		{ref: "file:DIR/allowed/below/../password", want: "hunter2"},
		{ref: "file:DIR/elsewhere/in", want: "hunter2"}, // what counts is where it leads
		{ref: "file:DIR/mounted/password", want: "hunter4"},
		{ref: "env:SECRET_ONE", want: "hunter6"},
		{ref: "file:DIR/allowed", err: "it is a folder"},
		{ref: "file:DIR/allowed/missing", err: "no such file"},
		{ref: "file:DIR/missing/password", err: "no such file"},
		{ref: "file:DIR/allowed/pipe", err: "no ordinary file"},
		{ref: "file:DIR/allowed/loop", err: "too many levels"},
		{ref: "env:SECRET_TWO", err: "not set"},
		{ref: "file:DIR/elsewhere/password"},
		{ref: "file:DIR/elsewhere/missing"},
		{ref: "file:DIR/allowed-not/password"},
		{ref: "file:DIR/allowed/../elsewhere/password"},
		{ref: "file:DIR/allowed/out"},
		{ref: "file:DIR/allowed/out-absolute"},
		{ref: "file:DIR/allowed/folder-out/password"},
		{ref: "file:DIR/allowed/below/../folder-out/password"},
		{ref: "file:DIR"},
		{ref: "file:/etc/passwd"},
		{ref: "file:/proc/self/environ"},
		{ref: "file:password"},
		{ref: "env:OTHER"},
		{ref: "env:secret_one"},
	}
	for _, tt := range tests {
		ref := strings.ReplaceAll(tt.ref, "DIR", dir)
		got, _, err := limits.Resolve(ref)
		var refused *NotAllowedError
		var failed *Error
		switch {
		case tt.want != "" && (got != tt.want || err != nil):
			t.Errorf("%s: %q, %v", tt.ref, got, err)
		case tt.err != "" && (!errors.As(err, &failed) || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want an *Error with %q", tt.ref, err, tt.err)
		case tt.want == "" && tt.err == "" && (got != "" || !errors.As(err, &refused) || !strings.Contains(err.Error(), ref) ||
			!strings.Contains(err.Error(), "--secrets-") || !strings.Contains(refused.Hint(), "--password-ref") || !strings.Contains(refused.Hint(), "--secrets-")):
			t.Errorf("%s: %q, %v, want a *NotAllowedError with both ways out", tt.ref, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "stolen") {
			t.Errorf("%s: %v", tt.ref, err)
		}
	}
	if _, _, err := limits.Resolve("hunter2"); !errors.As(err, new(*RefError)) {
		t.Errorf("no reference: %v", err)
	}
	for _, limits := range []Limits{{}, {Dirs: []string{"/"}, EnvPrefix: "SECRET_"}} {
		_, _, fileErr := limits.Resolve("file:" + dir + "/elsewhere/password")
		_, _, envErr := limits.Resolve("env:OTHER")
		if files, env := fileErr == nil, envErr == nil; files != (len(limits.Dirs) > 0) || env != (limits.EnvPrefix == "") {
			t.Errorf("%+v: %v, %v", limits, fileErr, envErr)
		}
	}
}

// Somebody puts a link in the place of the file or of its folder, between the look at it and the opening.
func TestLinksPutThereMeanwhile(t *testing.T) {
	dir, _ := scene(t)
	for _, name := range []string{"out", "out-absolute", "folder-out/password", "../elsewhere/password", dir + "/elsewhere/password"} {
		if f, err := openBelow(dir+"/allowed", name); err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
	f, err := openBelow(dir+"/allowed", "relative")
	must(t, err)
	f.Close()
}

func TestDefaultDirs(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x.service")
	if got := strings.Join(DefaultDirs(), " "); got != "/etc/binkeeper /run/secrets /run/credentials/x.service" {
		t.Error(got)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if got := strings.Join(DefaultDirs(), " "); got != "/etc/binkeeper /run/secrets" {
		t.Error(got)
	}
}
