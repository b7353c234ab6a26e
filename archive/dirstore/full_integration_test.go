//go:build faults

//faults:archive

package dirstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/faults/faultstest"
)

// TestFullAtEveryName has a real disk run out of inodes at each step that makes a name; TestFaults has the other steps.
// A tmpfs counts a hard link as an inode.
func TestFullAtEveryName(t *testing.T) {
	tests := []struct {
		fails  string
		inodes int // of the disk, the root folder's among them
		last   []step
	}{
		{"the upper folder", 1, nil},
		{"the lower folder", 2, []step{{"sync", "."}}},
		{"the temporary file", 3, []step{{"sync", "."}, {"sync", "a"}}},
		{"the link", 4, []step{{"sync", "."}, {"sync", "a"}, {"write", "a/b/TEMP"}, {"sync", "a/b/TEMP"}, {"link", "a/b/object"}}},
	}
	for _, test := range tests {
		t.Run(test.fails, func(t *testing.T) {
			disk := faultstest.NewFullDisk(t, 1<<20)
			allow(t, disk.Dir(), test.inodes)
			s := open(t, disk.Dir())
			defer s.root.Close() // the disk is in use until then
			var steps []step
			record(s, &steps)
			err := s.Create(t.Context(), "a/b/object", []byte("one"))
			storeErr := (*archive.StoreError)(nil)
			if !errors.As(err, &storeErr) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(storeErr.Hint(), "free some space") {
				t.Fatalf("got %v, want a *StoreError for %v with a hint", err, syscall.ENOSPC)
			}
			if !equal(steps, test.last) {
				t.Errorf("it came as far as %v, want %v", steps, test.last)
			}
			if _, err := os.Stat(filepath.Join(disk.Dir(), "a/b/object")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("object: got %v, want none", err)
			}
			if left := tempsIn(t, disk.Dir()); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			allow(t, disk.Dir(), 5)
			if err := s.Create(t.Context(), "a/b/object", []byte("one")); err != nil {
				t.Errorf("tried again: %v", err)
			}
		})
	}
}

// allow sets how many inodes a tmpfs may have.
func allow(t *testing.T, dir string, inodes int) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", inodes)); err != nil {
		t.Fatal(err)
	}
}
