//go:build faults

//faults:archive

package main

import (
	"runtime"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// A real disk under the archive is full, and mounted read-only, for a while: the task says so, and goes on by itself.
func TestArchiveDisk(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	disk := faultstest.NewFullDisk(t, 64<<20)
	t.Cleanup(runtime.GC) // closes the stores that the test has opened, or the disk stays in use
	s.dir = disk.Dir()
	s.createTask()
	s.start("1", "2")
	for _, fault := range []struct {
		name, says   string
		strike, mend func() error
	}{
		{"full", "no space left", func() error { _, err := disk.Fill(); return err }, disk.Free},
		{"read-only", "read-only file system", disk.ReadOnly, disk.Writable},
	} {
		l := startLoad(t, s.src)
		s.awaitServing(0)
		l.await(50)
		must(t, fault.strike())
		s.awaitTrouble("store-away", fault.says)
		l.await(100)
		s.wantDurable()
		must(t, fault.mend())
		s.await("the archive after the disk was "+fault.name, func(v view) bool { return v.Status.State == zkpaths.StateRunning })
		l.stop()
		s.compare()
	}
}

// wantDurable wants the archive to have all that is committed.
func (s *stage) wantDurable() {
	s.t.Helper()
	last := s.look().LastCommit // before the archive, which only grows
	end, err := archive.New(s.store(), task).Walk(s.t.Context(), nil)
	must(s.t, err)
	before := end.Timeline < last.Timeline || end.Timeline == last.Timeline &&
		(archive.FileBefore(end.File, last.File) || end.File == last.File && end.Offset < last.Position)
	if before || last.Timeline == 0 {
		s.t.Errorf("committed: timeline %d, %s:%d; archived: %s", last.Timeline, last.File, last.Position, end)
	}
}
