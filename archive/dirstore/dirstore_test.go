package dirstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) archive.Store { return open(t, t.TempDir()) })
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		dir  string
		hint string
	}{
		{filepath.Join(dir, "missing"), "mount the share"},
		{file, "needs a folder"},
		{filepath.Join(file, "below"), "needs a folder"},
	}
	for _, test := range tests {
		_, err := Open(test.dir)
		storeErr := (*archive.StoreError)(nil)
		if !errors.As(err, &storeErr) || !strings.Contains(storeErr.Hint(), test.hint) {
			t.Errorf("Open(%s): got %v, want a *StoreError with hint %q", test.dir, err, test.hint)
		}
	}
	if got, want := open(t, dir).String(), "file://"+dir; got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Create(t.Context(), "a/b/object"); err != nil {
		t.Fatal(err)
	}
	umask := fs.FileMode(syscall.Umask(0))
	syscall.Umask(int(umask))
	for name, want := range map[string]fs.FileMode{"a": dirMode, "a/b": dirMode, "a/b/object": fileMode} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want&^umask {
			t.Errorf("%s: got mode %o, want %o", name, got, want&^umask)
		}
	}
}

// TestFaults checks that a failed Create says why, leaves no temporary file, and
// never says that the name is taken.
func TestFaults(t *testing.T) {
	fail := func(cause error, nth int) func() error {
		return func() error {
			if nth--; nth == 0 {
				return &fs.PathError{Op: "op", Path: "p", Err: cause}
			}
			return nil
		}
	}
	tests := []struct {
		name   string
		inject func(c *calls, struck func() error)
		cause  syscall.Errno
		nth    int
		exists bool // the object may be there afterwards
		hint   string
	}{
		{"write full", injectWrite, syscall.ENOSPC, 1, false, "free some space"},
		{"second part full", injectWrite, syscall.EDQUOT, 2, false, "free some space"},
		{"sync of parent folder", injectSync, syscall.EIO, 1, false, "disk errors"},
		{"sync of file", injectSync, syscall.EIO, 2, false, "disk errors"},
		{"sync of folder", injectSync, syscall.EIO, 3, true, "disk errors"},
		{"sync of parent folder full", injectSync, syscall.ENOSPC, 1, false, "free some space"},
		{"sync of file full", injectSync, syscall.EDQUOT, 2, false, "free some space"}, // where space is found only then
		{"sync of folder full", injectSync, syscall.ENOSPC, 3, true, "free some space"},
		{"link full", injectLink, syscall.ENOSPC, 1, false, "free some space"},
		{"link over quota", injectLink, syscall.EDQUOT, 1, false, "free some space"},
		{"no hard links", injectLink, syscall.EPERM, 1, false, "hard links"},
		{"read-only", injectLink, syscall.EROFS, 1, false, "for writing"},
		{"stale", injectLink, syscall.ESTALE, 1, false, "mount it again"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			good := s.calls
			test.inject(&s.calls, fail(test.cause, test.nth))
			err := s.Create(t.Context(), "dir/object", []byte("one"), []byte("two"))
			storeErr := (*archive.StoreError)(nil)
			if !errors.As(err, &storeErr) || !errors.Is(err, test.cause) || !strings.Contains(storeErr.Hint(), test.hint) {
				t.Fatalf("got %v, want a *StoreError for %v with hint %q", err, test.cause, test.hint)
			}
			if _, err := os.Stat(filepath.Join(dir, "dir/object")); (err == nil) != test.exists {
				t.Errorf("object: got %v, want it to exist: %t", err, test.exists)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "dir", archive.TempPrefix+"*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			s.calls = good
			err = s.Create(t.Context(), "dir/object", []byte("one"), []byte("two"))
			if test.exists != errors.Is(err, archive.ErrExist) || !test.exists && err != nil {
				t.Errorf("tried again: got %v", err)
			}
		})
	}
}

func injectWrite(c *calls, struck func() error) {
	real := c.write
	c.write = func(f *os.File, b []byte) (int, error) {
		if err := struck(); err != nil {
			return 0, err
		}
		return real(f, b)
	}
}

func injectSync(c *calls, struck func() error) {
	real := c.sync
	c.sync = func(f *os.File) error {
		if err := struck(); err != nil {
			return err
		}
		return real(f)
	}
}

func injectLink(c *calls, struck func() error) {
	real := c.link
	c.link = func(root *os.Root, old, new string) error {
		if err := struck(); err != nil {
			return err
		}
		return real(root, old, new)
	}
}

// TestLinkTriedTwice is a network file system whose client repeats a link that
// had taken effect.
func TestLinkTriedTwice(t *testing.T) {
	s := open(t, t.TempDir())
	real := s.calls.link
	s.calls.link = func(root *os.Root, old, new string) error {
		if err := real(root, old, new); err != nil {
			return err
		}
		return real(root, old, new)
	}
	if err := s.Create(t.Context(), "object", []byte("mine")); err != nil {
		t.Errorf("got %v, want success: the object is this call's", err)
	}
}

func TestFolderLost(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context(), "a/b/x"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	storeErr := (*archive.StoreError)(nil)
	if err := s.Create(t.Context(), "a/b/y"); !errors.As(err, &storeErr) || storeErr.Hint() == "" {
		t.Errorf("got %v, want a *StoreError with a hint", err)
	}
	if err := s.Create(t.Context(), "a/b/y"); err != nil {
		t.Errorf("tried again: %v", err)
	}
}

// TestSymlinkOut checks that nothing is read or written outside of the root.
func TestSymlinkOut(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "task")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Create(t.Context(), "task/object"); err == nil {
		t.Error("Create through a link out of the root succeeded")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("got %v outside of the root", entries)
	}
}
