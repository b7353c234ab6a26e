// Package storetest has the one conformance suite that every archive.Store must
// pass, and a store with faults to inject.
//
// Run promises that a store that passes keeps what archive.Store asks for, as far
// as one process can see. It leaves to the store's own tests what needs a crash
// or a fault inside: durability, and what the operator is told.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"binkeeper/archive"
)

// Run tests the stores that open makes. Each must be new and empty.
func Run(t *testing.T, open func(t *testing.T) archive.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s archive.Store)
	}{
		{"CreateThenOpen", testCreateThenOpen},
		{"CreateOnly", testCreateOnly},
		{"Race", testRace},
		{"Ranges", testRanges},
		{"NotExist", testNotExist},
		{"Big", testBig},
		{"List", testList},
		{"ListAfter", testListAfter},
		{"ListMissing", testListMissing},
		{"ListStopped", testListStopped},
		{"Sync", testSync},
		{"Delete", testDelete},
		{"Names", testNames},
		{"Canceled", testCanceled},
		{"Probe", testProbe},
		{"Sweep", testSweep},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func testCreateThenOpen(t *testing.T, s archive.Store) {
	tests := []struct {
		name  string
		parts []string
	}{
		{"empty", nil},
		{"empty-part", []string{""}},
		{"one", []string{"one"}},
		{"a/b/c/three", []string{"o", "", "ne two"}},
		{"a/b/sibling", []string{"\x00\xff"}},
	}
	for _, test := range tests {
		create(t, s, test.name, test.parts...)
	}
	for _, test := range tests {
		if got, want := read(t, s, test.name, 0, -1), strings.Join(test.parts, ""); got != want {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
	}
}

func testCreateOnly(t *testing.T, s archive.Store) {
	create(t, s, "dir/object", "first")
	if err := s.Create(t.Context(), "dir/object", []byte("second")); !errors.Is(err, archive.ErrExist) {
		t.Errorf("second Create: got %v, want ErrExist", err)
	}
	if got := read(t, s, "dir/object", 0, -1); got != "first" {
		t.Errorf("after a second Create: got %q, want what was there", got)
	}
}

// testRace lets writers race for each of several names: one must win, and what
// is there must be the winner's.
func testRace(t *testing.T, s archive.Store) {
	const writers, names = 16, 10
	for n := range names {
		name := fmt.Sprintf("race/%d/object", n)
		errs := make([]error, writers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				<-start
				errs[w] = s.Create(t.Context(), name, fmt.Appendf(nil, "writer %d", w))
			})
		}
		close(start)
		wg.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("%s: nobody won: %v", name, errs)
		}
		for w, err := range errs {
			if w != winner && !errors.Is(err, archive.ErrExist) {
				t.Errorf("%s: writer %d: got %v, want ErrExist", name, w, err)
			}
		}
		if got, want := read(t, s, name, 0, -1), fmt.Sprintf("writer %d", winner); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func testRanges(t *testing.T, s archive.Store) {
	create(t, s, "digits", "0123456789")
	create(t, s, "nothing")
	tests := []struct {
		name           string
		offset, length int64
		want           string
	}{
		{"digits", 0, -1, "0123456789"},
		{"digits", 0, 4, "0123"},
		{"digits", 3, 4, "3456"},
		{"digits", 7, -1, "789"},
		{"digits", 7, 100, "789"},
		{"digits", 3, 0, ""},
		{"digits", 10, -1, ""},
		{"digits", 10, 5, ""},
		{"digits", 11, 5, ""},
		{"nothing", 0, -1, ""},
		{"nothing", 0, 5, ""},
	}
	for _, test := range tests {
		if got := read(t, s, test.name, test.offset, test.length); got != test.want {
			t.Errorf("%s, %d bytes from %d: got %q, want %q", test.name, test.length, test.offset, got, test.want)
		}
	}
}

func testNotExist(t *testing.T, s archive.Store) {
	create(t, s, "dir/object", "content")
	for _, name := range []string{"other", "dir/other", "no-dir/other", "dir", "dir/object/below"} {
		r, err := s.Open(t.Context(), name, 0, -1)
		if !errors.Is(err, archive.ErrNotExist) {
			t.Errorf("Open(%s): got %v, want ErrNotExist", name, err)
		}
		if err == nil {
			r.Close()
		}
	}
}

func testBig(t *testing.T, s archive.Store) {
	big := make([]byte, 20<<20)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(big)
	half := len(big)/2 + 1
	if err := s.Create(t.Context(), "big", big[:half], big[half:]); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "big", 0, -1); !bytes.Equal([]byte(got), big) {
		t.Errorf("%d bytes came back other than they were written", len(big))
	}
	if got := read(t, s, "big", int64(half)-3, 6); got != string(big[half-3:half+3]) {
		t.Errorf("the range across the parts came back other than it was written")
	}
}

func testList(t *testing.T, s archive.Store) {
	for _, name := range []string{"t/b", "t/a", "t/c/inside", "t/c/deeper/inside", "t/b.d", "other/x", "root"} {
		create(t, s, name, name)
	}
	tests := []struct {
		dir  string
		want []archive.Entry
	}{
		{"", []archive.Entry{{Name: "other", Dir: true}, {Name: "root", Size: 4}, {Name: "t", Dir: true}}},
		{"t", []archive.Entry{{Name: "a", Size: 3}, {Name: "b", Size: 3}, {Name: "b.d", Size: 5}, {Name: "c", Dir: true}}},
		{"t/c", []archive.Entry{{Name: "deeper", Dir: true}, {Name: "inside", Size: 10}}},
	}
	for _, test := range tests {
		if got := list(t, s, test.dir, ""); !slices.Equal(got, test.want) {
			t.Errorf("List(%q): got %v, want %v", test.dir, got, test.want)
		}
	}
}

func testListAfter(t *testing.T, s archive.Store) {
	const objects = 1100 // more than one page of the usual object stores
	for n := range objects {
		create(t, s, fmt.Sprintf("many/%020d.zst", n*10))
	}
	tests := []struct {
		after string
		want  int // how many are left
	}{
		{"", objects},
		{"00000000000000000000.zst", objects - 1},
		{"00000000000000000005.zst", objects - 1},
		{"0000000000000000001", objects - 1},
		{"00000000000000010980.zst", 1},
		{"00000000000000010990.zst", 0},
		{"z", 0},
	}
	for _, test := range tests {
		got := list(t, s, "many", test.after)
		inOrder := slices.IsSortedFunc(got, func(a, b archive.Entry) int { return strings.Compare(a.Name, b.Name) })
		if len(got) != test.want || !inOrder {
			t.Errorf("List(after %q): got %d entries, in order %t, want %d", test.after, len(got), inOrder, test.want)
		}
	}
}

func testListMissing(t *testing.T, s archive.Store) {
	create(t, s, "dir/object")
	for _, dir := range []string{"missing", "missing/deeper", "dir/missing", "dir/object"} {
		if got := list(t, s, dir, ""); len(got) > 0 {
			t.Errorf("List(%q): got %v, want nothing", dir, got)
		}
	}
}

func testListStopped(t *testing.T, s archive.Store) {
	create(t, s, "dir/a")
	create(t, s, "dir/b")
	for entry, err := range s.List(t.Context(), "dir", "") {
		if err != nil || entry.Name != "a" {
			t.Errorf("got %v, %v, want a", entry, err)
		}
		break
	}
}

// testSync syncs what the store has made. That nothing changes is all that can be
// seen of it without a crash.
func testSync(t *testing.T, s archive.Store) {
	names := []string{"dir/object", "dir/deeper/object", "object"}
	for _, name := range names {
		create(t, s, name, name)
	}
	for _, synced := range [][]string{nil, names[:1], names} {
		if err := s.Sync(t.Context(), synced...); err != nil {
			t.Errorf("Sync(%q): %v", synced, err)
		}
	}
	for _, name := range names {
		if got := read(t, s, name, 0, -1); got != name {
			t.Errorf("%s: got %q after a Sync", name, got)
		}
	}
	for _, name := range []string{"missing", "dir", "dir/missing", "dir/object/below"} {
		if err := s.Sync(t.Context(), "dir/object", name); err != nil && !errors.Is(err, archive.ErrNotExist) {
			t.Errorf("Sync(%s): got %v, want ErrNotExist or nothing", name, err)
		}
	}
}

func testDelete(t *testing.T, s archive.Store) {
	create(t, s, "dir/object", "old")
	create(t, s, "dir/sibling", "sibling")
	for _, name := range []string{"dir/object", "dir/object", "dir", "missing", "missing/deeper"} {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%s): %v", name, err)
		}
	}
	if got := list(t, s, "dir", ""); len(got) != 1 || got[0].Name != "sibling" {
		t.Errorf("after Delete: got %v, want the sibling", got)
	}
	create(t, s, "dir/object", "new")
	if got := read(t, s, "dir/object", 0, -1); got != "new" {
		t.Errorf("created again: got %q, want new", got)
	}
}

func testNames(t *testing.T, s archive.Store) {
	for _, name := range []string{"mysql-bin.000042", "with space", "üñï/çødé", "a:b,c=d", strings.Repeat("x", 200)} {
		create(t, s, name, name)
		if got := read(t, s, name, 0, -1); got != name {
			t.Errorf("%s: got %q", name, got)
		}
	}
	bad := []string{"", "/absolute", "a//b", "a/", "..", "../up", "a/../b", ".", "a/./b", ".tmp-x", "a/.tmp-x", "a\\b", "a\nb", "a\x00b"}
	for _, name := range bad {
		if err := s.Create(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("Create(%q) succeeded", name)
		}
		if r, err := s.Open(t.Context(), name, 0, -1); err == nil {
			r.Close()
			t.Errorf("Open(%q) succeeded", name)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("Delete(%q) succeeded", name)
		}
	}
}

func testCanceled(t *testing.T, s archive.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Create(ctx, "object"); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: got %v, want Canceled", err)
	}
	if _, err := s.Open(ctx, "object", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: got %v, want Canceled", err)
	}
	if err := s.Delete(ctx, "object"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: got %v, want Canceled", err)
	}
	for _, err := range s.List(ctx, "dir", "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("List: got %v, want Canceled", err)
		}
	}
}

func testProbe(t *testing.T, s archive.Store) {
	for _, dir := range []string{"", "task"} {
		if err := archive.Probe(t.Context(), s, dir); err != nil {
			t.Errorf("Probe(%q): %v", dir, err)
		}
		for _, entry := range list(t, s, dir, "") {
			if !entry.Dir {
				t.Errorf("Probe(%q) left %s", dir, entry.Name)
			}
		}
	}
}

// testSweep wants objects to stay, and what is fresh.
func testSweep(t *testing.T, s archive.Store) {
	names := []string{"task/object", "task/deeper/object", "task/probe-" + strings.Repeat("A", 26)}
	for _, name := range names {
		create(t, s, name, name)
	}
	for _, dir := range []string{"task", "missing"} {
		if removed, err := s.Sweep(t.Context(), dir); removed != 0 || err != nil {
			t.Errorf("Sweep(%q): %d removed, %v; want none", dir, removed, err)
		}
	}
	for _, name := range names {
		if got := read(t, s, name, 0, -1); got != name {
			t.Errorf("%s: got %q after a Sweep", name, got)
		}
	}
}

func create(t *testing.T, s archive.Store, name string, parts ...string) {
	t.Helper()
	var content [][]byte
	for _, part := range parts {
		content = append(content, []byte(part))
	}
	if err := s.Create(t.Context(), name, content...); err != nil {
		t.Fatalf("Create(%s): %v", name, err)
	}
}

func read(t *testing.T, s archive.Store, name string, offset, length int64) string {
	t.Helper()
	r, err := s.Open(t.Context(), name, offset, length)
	if err != nil {
		t.Fatalf("Open(%s): %v", name, err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(content)
}

func list(t *testing.T, s archive.Store, dir, after string) []archive.Entry {
	t.Helper()
	var entries []archive.Entry
	for entry, err := range s.List(t.Context(), dir, after) {
		if err != nil {
			t.Fatalf("List(%q): %v", dir, err)
		}
		entries = append(entries, entry)
	}
	return entries
}
