package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveFile(t *testing.T) {
	tests := []struct {
		name    string
		content string
		mode    os.FileMode
		want    string
		warning string // substring
		wantErr string // substring
	}{
		{name: "plain", content: "hunter2", mode: 0o600, want: "hunter2"},
		{name: "one newline is dropped", content: "hunter2\n", mode: 0o600, want: "hunter2"},
		{name: "so is one of DOS", content: "hunter2\r\n", mode: 0o600, want: "hunter2"},
		{name: "and no more", content: "hunter2\n\n", mode: 0o600, want: "hunter2\n"},
		{name: "spaces belong to it", content: " hunter2 \n", mode: 0o600, want: " hunter2 "},
		{name: "everybody reads it", content: "hunter2\n", mode: 0o644, want: "hunter2", warning: "everybody"},
		{name: "the group may", content: "hunter2\n", mode: 0o640, want: "hunter2"},
		{name: "empty", content: "", mode: 0o600, wantErr: "empty"},
		{name: "a newline alone", content: "\n", mode: 0o600, wantErr: "empty"},
		{name: "too large", content: strings.Repeat("x", MaxSize+1), mode: 0o600, wantErr: "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			check(t, "file:"+path, tt.want, tt.warning, tt.wantErr)
		})
	}
}

func TestResolveElsewhere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("password", []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCE_PASSWORD", "hunter2\n")
	t.Setenv("EMPTY_PASSWORD", "")
	check(t, "file:password", "hunter2", "relative", "")
	check(t, "file:"+dir, "", "", "folder")
	check(t, "file:"+dir+"/missing", "", "", "no such file")
	check(t, "file:"+dir+"/password/x", "", "", "not a directory")
	check(t, "env:SOURCE_PASSWORD", "hunter2\n", "", "")
	check(t, "env:EMPTY_PASSWORD", "", "", "not set")
	check(t, "env:NO_SUCH_PASSWORD", "", "", "not set")
}

func check(t *testing.T, ref, want, warning, wantErr string) {
	t.Helper()
	got, warnings, err := Resolve(ref)
	if wantErr != "" {
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), wantErr) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Resolve(%s): error %v, want an *Error with %q", ref, err, wantErr)
		}
		return
	}
	if err != nil || got != want {
		t.Errorf("Resolve(%s) = %q, %v; want %q", ref, got, err, want)
	}
	said := strings.Join(warnings, "\n")
	if (warning == "") != (said == "") || !strings.Contains(said, warning) || strings.Contains(said, "hunter2") {
		t.Errorf("Resolve(%s) warns %q, want %q", ref, said, warning)
	}
}

func TestMalformedReferencesAreNotShown(t *testing.T) {
	for _, ref := range []string{"", "hunter2", "pass:hunter2", "file:", "env:", "/hunter2", "FILE:/hunter2", "file:/hunter2\n", "env:hunter2\x00"} {
		_, _, err := Resolve(ref)
		var e *RefError
		if !errors.As(err, &e) {
			t.Errorf("Resolve(%q): error %v, want a *RefError", ref, err)
			continue
		}
		if strings.Contains(err.Error()+e.Hint(), "hunter2") {
			t.Errorf("Resolve(%q) shows what it was given: %v", ref, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, ref := range []string{"file:/x", "env:X", "", ":", "file:", "file:\x00"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if err := Check(ref); err == nil && !strings.HasPrefix(ref, "file:") && !strings.HasPrefix(ref, "env:") {
			t.Errorf("Check(%q) accepts what is no reference", ref)
		}
	})
}
