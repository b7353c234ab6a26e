//go:build faults

//faults:source

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// crashes are how a source dies, and what it keeps of its binlog.
var crashes = []struct {
	kind  servers.Kind
	sync  int  // its sync_binlog
	loses bool // the machine's memory is lost with it: what was not synced is gone
}{
	{servers.MySQL, 1, false}, {servers.MySQL, 0, true},
	{servers.MariaDB118, 1, false}, {servers.MariaDB118, 0, true},
}

// A source is killed while it commits a transaction of many megabytes. Where it loses what it has sent, the archive is
// ahead of it: both histories are kept.
func TestSourceCrashesInMidTransaction(t *testing.T) {
	for _, test := range crashes {
		t.Run(fmt.Sprintf("%s, sync_binlog=%d, loses=%t", test.kind, test.sync, test.loses), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, test.kind, fmt.Sprintf("--sync-binlog=%d", test.sync))
			s.createTask()
			s.start("1", "2")
			l := startLoad(t, s.src)
			s.awaitServing(0)
			l.await(200)
			s.awaitArchive("more than 200 kB", func(bytes int64) bool { return bytes > 200<<10 })
			s.crashInMidCommit()
			l.broken()
			if test.loses {
				s.loseHistory(func() { s.cutNewest() })
			} else {
				must(t, s.src.Start(t.Context()))
			}
			l = startLoad(t, s.src)
			l.await(100)
			s.awaitServing(0)
			l.stop()
			s.compare()
		})
	}
}

// crashInMidCommit kills the source while a transaction is on its way into the binlog.
func (s *stage) crashInMidCommit() {
	s.t.Helper()
	const rows, row = 24, 4 << 20 // InnoDB takes no row above a tenth of its log
	ctx := context.WithoutCancel(s.t.Context())
	must(s.t, s.src.Exec(ctx, "CREATE TABLE shop.large (note LONGBLOB NOT NULL)"))
	tx, err := s.src.DB().BeginTx(ctx, nil)
	must(s.t, err)
	for range rows {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO shop.large VALUES (REPEAT('%s', %d))", note(64), row/64))
		must(s.t, err)
	}
	newest := s.newest()
	before, done := sizeOf(s.t, newest), make(chan error, 1)
	go func() { done <- tx.Commit() }()
	for deadline := time.Now().Add(patience); sizeOf(s.t, newest) < before+row; {
		if time.Now().After(deadline) {
			s.t.Fatal("the transaction has never come to the binlog")
		}
	}
	s.src.Kill()
	if err := <-done; err == nil {
		s.t.Fatal("the transaction was committed before the source was killed")
	}
	s.t.Logf("killed after %d of %d bytes of the transaction", sizeOf(s.t, newest)-before, rows*row)
}

// newest is the path of the source's newest binlog file.
func (s *stage) newest() string {
	s.t.Helper()
	files := s.binlogFiles()
	return files[len(files)-1]
}

func sizeOf(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	return info.Size()
}

// loseHistory lets a source that is down lose something of its binlog, and starts it; it wants the task to be blocked
// until the operator allows a new timeline, and the old one to be kept.
func (s *stage) loseHistory(lose func()) {
	s.t.Helper()
	kept := s.keepBinlogs()
	end := s.chainEnd()
	lose()
	must(s.t, s.src.Start(s.t.Context()))
	s.awaitBlocked(zkpaths.BlockedDiverged)
	if now := s.chainEnd(); now.File != end.File || now.End != end.End {
		s.t.Errorf("the archive ended with %s:%d, and with %s:%d when the task was blocked", end.File, end.End, now.File, now.End)
	}
	s.accept(zkpaths.AcceptNewTimeline)
	s.await("a new timeline", func(v view) bool {
		return v.Status.State == zkpaths.StateRunning && v.LastCommit.Timeline == 2
	})
	s.compareTimeline(1, kept, end)
	s.wantTimelines(archive.ReasonFirst, archive.ReasonDiverged)
}

// keepBinlogs copies the source's binlog files, as a machine had them before it lost some, and returns their folder.
func (s *stage) keepBinlogs() string {
	s.t.Helper()
	dir := s.t.TempDir()
	for _, file := range s.binlogFiles() {
		must(s.t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), read(s.t, file), 0o600))
	}
	return dir
}

// cutNewest takes the end of the source's newest file away, with some of what is archived.
func (s *stage) cutNewest() {
	s.t.Helper()
	end, newest := s.chainEnd(), s.newest()
	if end.File != filepath.Base(newest) || end.End < 10<<10 {
		s.t.Fatalf("the archive ends with %s:%d, the source's newest file is %s", end.File, end.End, newest)
	}
	must(s.t, os.Truncate(newest, end.End-5<<10))
}

// chainEnd is the archive's last segment that holds bytes.
func (s *stage) chainEnd() archive.Meta {
	s.t.Helper()
	metas := slices.DeleteFunc(s.segments(), func(m archive.Meta) bool { return m.Start == m.End })
	if len(metas) == 0 {
		s.t.Fatal("the archive is empty")
	}
	return metas[len(metas)-1]
}

// compareTimeline wants a timeline to hold the files of a folder up to its end, and nothing else.
func (s *stage) compareTimeline(n int64, dir string, end archive.Meta) {
	s.t.Helper()
	out := filepath.Join(s.t.TempDir(), "export")
	must(s.t, archive.New(s.store(), task).Export(s.t.Context(), out, n, nil))
	entries, err := os.ReadDir(out)
	must(s.t, err)
	for _, entry := range entries {
		name, whole := entry.Name(), filepath.Join(dir, entry.Name())
		if name == end.File {
			if got := sizeOf(s.t, filepath.Join(out, name)); got != end.End {
				s.t.Errorf("timeline %d: %s has %d bytes, want %d", n, name, got, end.End)
			}
			must(s.t, os.Truncate(whole, end.End))
		}
		s.compareFile(whole, filepath.Join(out, name))
	}
	if last := entries[len(entries)-1].Name(); last != end.File {
		s.t.Errorf("timeline %d ends with %s, want %s", n, last, end.File)
	}
}

func (s *stage) wantTimelines(reasons ...string) {
	s.t.Helper()
	timelines, err := archive.New(s.store(), task).Timelines(s.t.Context())
	must(s.t, err)
	var got []string
	for _, tl := range timelines {
		got = append(got, tl.Reason)
	}
	if !slices.Equal(got, reasons) {
		s.t.Errorf("timelines for the reasons %q, want %q", got, reasons)
	}
}

// A machine is rolled back to an older copy of its data: the same server, the same file names, other bytes from there.
func TestSourceRolledBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MariaDB118, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2")
	s.loadFor(200)
	s.awaitServing(0)
	s.src.Kill()
	older := filepath.Join(t.TempDir(), "older")
	copyFolder(t, s.src.DataDir(), older)
	must(t, s.src.Start(t.Context()))
	s.loadFor(200)
	s.awaitClosed()
	s.loadFor(50)
	s.src.Kill()
	s.awaitTrouble("source-away", s.src.Addr())
	s.loseHistory(func() {
		must(t, os.RemoveAll(s.src.DataDir()))
		must(t, os.Rename(older, s.src.DataDir()))
	})
	s.loadFor(100)
	s.awaitServing(0)
	s.compare()
}

// The same, but the source has long written past the archive's end when a worker looks again: only bytes tell.
func TestSourceRolledBackAndWrittenOn(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1")
	s.loadFor(100)
	s.awaitServing(0)
	s.src.Kill()
	older := filepath.Join(t.TempDir(), "older")
	copyFolder(t, s.src.DataDir(), older)
	must(t, s.src.Start(t.Context()))
	s.loadFor(50)
	s.awaitServing(0)
	s.awaitClosed()
	s.terminate("1")
	end := s.chainEnd()
	s.src.Kill()
	s.loseHistory(func() {
		must(t, os.RemoveAll(s.src.DataDir()))
		must(t, os.Rename(older, s.src.DataDir()))
		must(t, s.src.Start(t.Context()))
		for fileNumber(t, s.newest()) <= fileNumber(t, end.File)+1 {
			s.loadFor(50)
		}
		s.src.Kill()
		s.start("1")
	})
	s.loadFor(50)
	s.awaitServing(0)
	s.compare()
}

// loadFor lets n transactions be written.
func (s *stage) loadFor(n int64) {
	s.t.Helper()
	l := startLoad(s.t, s.src)
	l.await(n)
	l.stop()
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", "--sparse=always", "--reflink=auto", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}
