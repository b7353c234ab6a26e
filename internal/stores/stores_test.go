package stores

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	tests := []struct {
		in      string
		want    string // the folder
		wantErr string // substring
	}{
		{in: "file:///var/binlogs", want: "/var/binlogs"},
		{in: "FILE:///var/binlogs/", want: "/var/binlogs"},
		{in: "file:///var/my%20binlogs", want: "/var/my binlogs"},
		{in: "/var/binlogs", want: "/var/binlogs"},
		{in: "/var/my binlogs/../x", want: "/var/x"},
		{in: "", wantErr: "empty"},
		{in: "binlogs", wantErr: "relative"},
		{in: "./binlogs", wantErr: "relative"},
		{in: "file:binlogs", wantErr: "relative"},
		{in: "file://binlogs", wantErr: "host"},
		{in: "file://", wantErr: "absolute"},
		{in: "file:///", wantErr: "root"},
		{in: "/", wantErr: "root"},
		{in: "file:///x?sync=no", wantErr: "nothing else"},
		{in: "file://me:hunter2@/x", wantErr: "nothing else"},
		{in: "file:///x#hunter2", wantErr: "nothing else"},
		{in: "file:///%zz-hunter2", wantErr: "cannot be read"},
		{in: "s3://key:hunter2@bucket/prefix", wantErr: "not supported by this version"},
		{in: "ftp://me:hunter2@host/x", wantErr: `unknown scheme "ftp"`},
		{in: "/x\x00y", wantErr: "zero byte"},
		{in: "file:///x%00y", wantErr: "zero byte"},
	}
	for _, tt := range tests {
		got, err := folder(tt.in)
		if tt.wantErr == "" {
			if err != nil || got != tt.want || CheckURL(tt.in) != nil {
				t.Errorf("folder(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			continue
		}
		var bad *URLError
		if err := CheckURL(tt.in); !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("CheckURL(%q) = %v, want a *URLError with %q", tt.in, err, tt.wantErr)
			continue
		}
		if strings.Contains(bad.Error()+bad.Hint(), "hunter2") || bad.Hint() == "" {
			t.Errorf("CheckURL(%q): %v, hint %q", tt.in, bad, bad.Hint())
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"file:///x", "/x", "s3://b/p", "file://h/x", "", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if dir, err := folder(s); err == nil && (!strings.HasPrefix(dir, "/") || dir == "/" || strings.ContainsRune(dir, 0)) {
			t.Errorf("folder(%q) = %q", s, dir)
		}
	})
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, u := range []string{dir, "file://" + dir} {
		store, err := Open(u)
		if err != nil || !strings.Contains(store.String(), dir) {
			t.Errorf("Open(%s) = %v, %v", u, store, err)
		}
	}
	if _, err := Open("file://" + dir + "/missing"); err == nil {
		t.Error("a missing folder was opened")
	}
}
