//go:build faults

//faults:archive

package worker_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/zkpaths"
)

func contains(s, words string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(words))
}

// exchange exchanges two tasks' folders, in one step.
func (f *fleet) exchange(a, b string) {
	f.t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(f.dir, a), unix.AT_FDCWD, filepath.Join(f.dir, b), unix.RENAME_EXCHANGE); err != nil {
		f.t.Fatal(err)
	}
}

// quiet waits until all that the source has written is archived.
func (f *fleet) quiet(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.compare(id)
	}
}

// Two archives are exchanged by hand, while workers run and while they do not: neither gets a byte of the other's.
func TestArchivesSwapped(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	tasks := []string{"orders", "billing"}
	for i, id := range tasks {
		f.createTask(id, func(s *zkpaths.Spec) {
			s.ReplicaUUID, s.ReplicaServerID = s.ReplicaUUID[:35]+string(rune('0'+i)), uint32(5000+i)
		})
	}
	stopWorker := f.start("1")
	for _, id := range tasks {
		f.await(id, "running", 20*time.Second, running)
	}
	f.write(20)
	f.quiet(tasks...)
	blocked := func() {
		for _, id := range tasks {
			f.awaitBlocked(id, zkpaths.BlockedOtherTask)
		}
		f.exchange(tasks[0], tasks[1])
		for _, id := range tasks {
			f.lookAgain(id)
			f.await(id, "running with its own archive", 20*time.Second, running)
		}
		f.write(10)
		f.quiet(tasks...)
	}

	f.exchange(tasks[0], tasks[1])
	f.write(10)
	blocked()

	stopWorker()
	f.exchange(tasks[0], tasks[1])
	f.write(10)
	f.start("1")
	blocked()
}

// segmentFiles are the paths of a task's segments with bytes, in the order of the chain.
func (f *fleet) segmentFiles(id string) []string {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, id, "00000001", "*.*", "*.zst"))
	if err != nil {
		f.t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(filepath.Dir(a), filepath.Dir(b)), cmp.Compare(a, b)) })
	return files
}

// hands are what somebody may do to a segment.
var hands = []struct {
	name    string
	do      func(path string, content []byte) error
	exports string // what an export says then
	blocks  string // why the task is blocked when it is the last segment; "": it is not
}{
	{"deleted", func(path string, _ []byte) error { return os.Remove(path) }, "hole", zkpaths.BlockedArchiveBehind},
	{"renamed", func(path string, _ []byte) error { return os.Rename(path, path+".old") }, "hole", zkpaths.BlockedArchiveBehind},
	{"truncated", func(path string, content []byte) error { return os.Truncate(path, int64(len(content)/3)) }, "mismatch", zkpaths.BlockedArchiveBroken},
	{"bit-flipped", func(path string, content []byte) error {
		flipped := slices.Clone(content)
		flipped[len(flipped)-20] ^= 4
		return os.WriteFile(path, flipped, 0o600)
	}, "mismatch", ""},
}

// Somebody lays hands on a segment of an archive under a worker. It goes on where that does no harm to what it appends,
// and says so where it does; what is damaged is named by verify and never exported; put back, all is there.
func TestSegmentsChangedByHand(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.await("orders", "running", 20*time.Second, running)
	for range 4 {
		f.write(5)
		f.quiet("orders")
	}
	store, err := stores.Open("file://" + f.dir)
	if err != nil {
		t.Fatal(err)
	}
	arch := archive.New(store, "orders")
	for _, hand := range hands {
		for _, isLast := range []bool{false, true} {
			segments := f.segmentFiles("orders")
			path := segments[len(segments)/2]
			if isLast {
				path = segments[len(segments)-1]
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := hand.do(path, content); err != nil {
				t.Fatal(err)
			}
			before := f.await("orders", "a status", time.Second, func(coord.TaskView) bool { return true })
			f.write(5)
			if isLast && hand.blocks != "" {
				f.awaitBlocked("orders", hand.blocks)
			} else {
				f.await("orders", "more of the archive", 20*time.Second, func(v coord.TaskView) bool { return running(v) && v.LastCommit.Position > before.LastCommit.Position })
				f.wantDamage(arch, path, hand.exports)
			}
			_ = os.Remove(path + ".old")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if isLast && hand.blocks != "" {
				f.lookAgain("orders")
			}
			f.await("orders", "running with the segment put back", 20*time.Second, running)
			f.write(5)
			f.quiet("orders")
		}
	}
}

// kindOf is what an export's error says of the archive.
func kindOf(err error) string {
	mismatch, hole := (*archive.MismatchError)(nil), (*archive.HoleError)(nil)
	switch {
	case errors.As(err, &mismatch):
		return "mismatch"
	case errors.As(err, &hole):
		return "hole"
	}
	return fmt.Sprint(err)
}

// wantDamage wants a verification to name the object at path, and an export to fail and write nothing that is wrong.
func (f *fleet) wantDamage(arch *archive.Archive, path, exports string) {
	f.t.Helper()
	object, err := filepath.Rel(f.dir, path)
	if err != nil {
		f.t.Fatal(err)
	}
	report, err := arch.Verify(f.t.Context(), nil)
	if err != nil || report.OK || !slices.ContainsFunc(report.Problems, func(p archive.Problem) bool { return p.Object == object }) {
		f.t.Errorf("verify does not name %s: %+v, %v", object, report, err)
	}
	out := f.t.TempDir()
	if got := kindOf(arch.Export(f.t.Context(), out, archive.Newest, nil)); got != exports {
		f.t.Errorf("export of what was done to %s: %s, want %s", object, got, exports)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, entry := range entries {
		got, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil {
			f.t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(f.src.DataDir(), entry.Name()))
		if err != nil || !strings.HasPrefix(string(want), string(got)) {
			f.t.Errorf("export wrote %s other than the source has it (%v)", entry.Name(), err)
		}
	}
}

// A primary that is cut off from ZooKeeper goes on writing beside its successor: the source ends its dump in vain, since
// the task's replica identity was changed meanwhile. One of the two loses each race; no byte is lost or doubled.
func TestZombieWritesOn(t *testing.T) {
	t.Parallel()
	testZombies(t, 0)
}

// testZombies makes a zombie of the primary, and again until lasts is over.
func testZombies(t *testing.T, lasts time.Duration) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	door := faultstest.NewProxy(t, ensemble.Addr(), faults.Raw)
	cut := f.cfg
	cut.Servers = []string{door.Addr()}
	f.startAt(cut, "1", stores.Open)
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	f.start("2")
	stop := f.startLoad()
	const met = "another writer has appended"
	for began, n := time.Now(), 1; n == 1 || time.Since(began) < lasts; n++ {
		f.await("orders", "a standby", 20*time.Second, func(v coord.TaskView) bool { return primary("1")(v) && len(v.Line) == 2 })
		before := f.journal.count(met)
		door.Freeze()
		f.change("orders", func(s *zkpaths.Spec) {
			s.ReplicaUUID, s.ReplicaServerID = fmt.Sprintf("99999999-3333-3333-3333-%012d", n), uint32(9000+n)
		})
		f.await("orders", "the second as primary", 20*time.Second, primary("2"))
		for deadline := time.Now().Add(20 * time.Second); f.journal.count(met) == before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nobody has met another writer: there was no zombie")
			}
		}
		f.await("orders", "the second as primary", 20*time.Second, primary("2"))
		door.Heal()
		v := f.await("orders", "the first in line again", 30*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 && v.Line[1].ServerID == "1" })
		f.change("orders", func(s *zkpaths.Spec) { s.SwitchoverTo = v.Line[1].Name })
	}
	stop()
	f.compare("orders")
}
