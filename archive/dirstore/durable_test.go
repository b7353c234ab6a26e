package dirstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"binkeeper/archive"
)

// step is one system call that a test sees.
type step struct{ call, name string }

// record makes s tell its calls, in order, by the names that they concern.
func record(s *Store, steps *[]step) {
	name := func(f *os.File) string {
		rel, _ := filepath.Rel(s.path, f.Name())
		if strings.HasPrefix(filepath.Base(rel), archive.TempPrefix) {
			rel = filepath.Join(filepath.Dir(rel), "TEMP")
		}
		return rel
	}
	real := s.calls
	s.calls.write = func(f *os.File, b []byte) (int, error) {
		*steps = append(*steps, step{"write", name(f)})
		return real.write(f, b)
	}
	s.calls.sync = func(f *os.File) error {
		*steps = append(*steps, step{"sync", name(f)})
		return real.sync(f)
	}
	s.calls.link = func(root *os.Root, old, new string) error {
		*steps = append(*steps, step{"link", new})
		return real.link(root, old, new)
	}
}

// TestDurable checks the order that makes an object durable when Create returns,
// and another writer's object before it is said to exist.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var steps []step
	record(s, &steps)
	check := func(what string, want ...step) {
		t.Helper()
		if !equal(steps, want) {
			t.Errorf("%s: got %v, want %v", what, steps, want)
		}
		steps = nil
	}
	if err := s.Create(t.Context(), "a/b/x", []byte("1")); err != nil {
		t.Fatal(err)
	}
	check("first in new folders", step{"sync", "."}, step{"sync", "a"},
		step{"write", "a/b/TEMP"}, step{"sync", "a/b/TEMP"}, step{"link", "a/b/x"}, step{"sync", "a/b"})
	if err := s.Create(t.Context(), "a/b/y"); err != nil {
		t.Fatal(err)
	}
	check("second", step{"sync", "a/b/TEMP"}, step{"link", "a/b/y"}, step{"sync", "a/b"})
	if err := s.Create(t.Context(), "a/b/x"); !errors.Is(err, archive.ErrExist) {
		t.Fatalf("got %v, want ErrExist", err)
	}
	check("exists", step{"sync", "a/b/TEMP"}, step{"link", "a/b/x"}, step{"sync", "a/b"})

	other := open(t, dir)
	record(other, &steps)
	if err := other.Create(t.Context(), "a/b/x"); !errors.Is(err, archive.ErrExist) {
		t.Fatalf("got %v, want ErrExist", err)
	}
	check("folders of another process", step{"sync", "."}, step{"sync", "a"},
		step{"sync", "a/b/TEMP"}, step{"link", "a/b/x"}, step{"sync", "a/b"})
	if err := s.Delete(t.Context(), "a/b/x"); err != nil {
		t.Fatal(err)
	}
	check("delete", step{"sync", "a/b"})
}

// TestSync checks that all that names an object becomes durable, whoever made it: here
// one who never syncs, as a writer that is killed in time, or a hand.
func TestSync(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/x", "a/b/y", "a/b/c/z"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		names []string
		want  []step
	}{
		{nil, nil},
		{[]string{"a/x"}, []step{{"sync", "a/x"}, {"sync", "a"}, {"sync", "."}}},
		{[]string{"a/x", "a/b/y", "a/b/c/z"}, []step{{"sync", "a/x"}, {"sync", "a/b/y"}, {"sync", "a/b/c/z"},
			{"sync", "a"}, {"sync", "."}, {"sync", "a/b"}, {"sync", "a/b/c"}}},
	}
	for _, test := range tests {
		s := open(t, dir)
		var steps []step
		record(s, &steps)
		if err := s.Sync(t.Context(), test.names...); err != nil {
			t.Fatal(err)
		}
		if !equal(steps, test.want) {
			t.Errorf("Sync(%q): got %v, want %v", test.names, steps, test.want)
		}
		failing := open(t, dir)
		for n := range test.want {
			calls := 0
			injectSync(&failing.calls, func() error {
				if calls++; calls == n+1 {
					return syscall.EIO
				}
				return nil
			})
			if err := failing.Sync(t.Context(), test.names...); !errors.Is(err, syscall.EIO) || len(failing.durable) > 1 {
				t.Errorf("Sync(%q), sync %d failed: got %v, and %v is believed to be durable", test.names, n+1, err, failing.durable)
			}
			failing = open(t, dir)
		}
	}
	s := open(t, dir)
	if err := s.Sync(t.Context(), "a/b/missing"); !errors.Is(err, archive.ErrNotExist) {
		t.Errorf("missing: got %v, want ErrNotExist", err)
	}
}

func equal(a, b []step) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestExistNotDurable checks that a name is not said to be taken when what has it
// could not be made durable.
func TestExistNotDurable(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Create(t.Context(), "object"); err != nil {
		t.Fatal(err)
	}
	syncs := 0
	injectSync(&s.calls, func() error {
		if syncs++; syncs == 2 { // the file, then the folder
			return syscall.EIO
		}
		return nil
	})
	if err := s.Create(t.Context(), "object"); !errors.Is(err, syscall.EIO) || errors.Is(err, archive.ErrExist) {
		t.Errorf("got %v, want the error of the sync", err)
	}
}
