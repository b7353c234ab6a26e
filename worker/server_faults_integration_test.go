//go:build faults

//faults:source

package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/binlog"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// A MariaDB without gtid_strict_mode logs a lower number than is archived, while no worker looks. Nothing is lost: its
// binlog goes on where the archive ends.
func TestDomainWentBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MariaDB118, "--gtid-strict-mode=OFF")
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	insert := "INSERT INTO shop.orders (note) VALUES ('another')"
	if err := f.src.Exec(t.Context(), "SET SESSION gtid_seq_no = 1000", insert); err != nil {
		t.Fatal(err)
	}
	f.await("orders", "the archive of 0-1-1000", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.GTIDSet == "0-1-1000" })
	stop()
	if err := f.src.Exec(t.Context(), "SET SESSION gtid_seq_no = 50", insert); err != nil {
		t.Fatal(err)
	}
	var now string
	if err := f.src.DB().QueryRowContext(t.Context(), "SELECT @@gtid_binlog_pos").Scan(&now); err != nil || now != "0-1-50" {
		t.Fatalf("gtid_binlog_pos is %s, %v: the fault has not struck", now, err)
	}
	f.start("1")
	f.await("orders", "running", 20*time.Second, running)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}

// restartAs stops the source in order, and starts it with these options.
func (f *fleet) restartAs(args ...string) {
	f.t.Helper()
	if err := f.src.Stop(); err != nil {
		f.t.Fatal(err)
	}
	f.src.SetArgs(args...)
	if err := f.src.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// allArchived waits until everything that the source has written is archived. A reader of the status alone would take an
// old word for a new one.
func (f *fleet) allArchived(id string) {
	f.t.Helper()
	files, err := f.src.BinlogFiles()
	if err != nil {
		f.t.Fatal(err)
	}
	newest := files[len(files)-1]
	size := sizeOf(f.t, newest)
	f.await(id, "the archive of all that was written", 20*time.Second, func(v coord.TaskView) bool {
		return v.LastCommit.File == filepath.Base(newest) && v.LastCommit.Position == size
	})
}

// exported reads a file back from the archive.
func (f *fleet) exported(id, file string) []byte {
	f.t.Helper()
	store, err := dirstore.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := archive.New(store, id).Open(f.t.Context(), archive.Newest, file)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return content
}

// The source is started with another --log-bin. It has forgotten its old files then; what was executed before the new ones
// is all archived, and the archive goes on without a gap. A primary that comes later does so, too.
func TestLogBinRenamed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.allArchived("orders")
	f.restartAs("--log-bin=other-bin")
	f.write(5)
	f.await("orders", "running in other-bin.000001", 20*time.Second, func(v coord.TaskView) bool {
		return running(v) && v.LastCommit.File == "other-bin.000001" && v.LastCommit.Position > 0
	})
	f.allArchived("orders")
	v := f.look("orders")
	var executed string
	if err := f.src.DB().QueryRowContext(t.Context(), "SELECT @@gtid_executed").Scan(&executed); err != nil || executed != v.LastCommit.GTIDSet {
		t.Errorf("archived %s, executed %s (%v)", v.LastCommit.GTIDSet, executed, err)
	}
	stop()
	f.write(5)
	f.start("1")
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
	const stopEvent = 23 // the only thing that may be missing, when the source was too quick to send it
	old, err := os.ReadFile(filepath.Join(f.src.DataDir(), "mysql-bin.000001"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.exported("orders", "mysql-bin.000001"); !bytes.HasPrefix(old, got) || len(old)-len(got) > stopEvent {
		t.Errorf("%d bytes of mysql-bin.000001, want the source's %d without the stop event at most", len(got), len(old))
	}
}

// Where that is not proven, the task is blocked, and says what has changed: without GTIDs, and where the old files had more.
func TestLogBinRenamedIsBlocked(t *testing.T) {
	for name, test := range map[string]struct {
		options []string
		behind  bool
	}{
		"without GTIDs":       {[]string{"--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"}, false},
		"with more behind it": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, servers.MySQL, test.options...)
			f.createTask("orders")
			stop := f.start("1")
			f.write(10)
			f.allArchived("orders")
			stop()
			if test.behind {
				f.write(1)
			}
			f.restartAs(append(test.options, "--log-bin=other-bin")...)
			f.write(5)
			f.start("1")
			f.awaitBlocked("orders", zkpaths.BlockedPurged)
			if v := f.look("orders"); !contains(v.Status.Detail, "base name") || !contains(v.Status.Detail, "other-bin") {
				t.Errorf("detail %q, want word of the base name", v.Status.Detail)
			}
			f.accept("orders", zkpaths.AcceptGap)
			f.await("orders", "running", 20*time.Second, running)
			f.compare("orders")
			if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Gap == nil {
				t.Errorf("timelines %+v, want a second one with a gap", timelines)
			}
		})
	}
}

// resume is task resume without an answer.
func (f *fleet) resume(id string) {
	f.t.Helper()
	f.change(id, func(s *zkpaths.Spec) { s.ResumedAt = zkpaths.At(time.Now()) })
}

// staysBlocked lets the primary look again twice, at the operator's word, and wants what it finds to be no news.
func (f *fleet) staysBlocked(id string, before zkpaths.Status) {
	f.t.Helper()
	for range 2 {
		looks := f.look(id).Status.Reconnects
		f.resume(id)
		f.await(id, "another look", 10*time.Second, func(v coord.TaskView) bool {
			return v.Status.State == zkpaths.StateBlocked && v.Status.Reconnects > looks
		})
	}
	if after := f.look(id).Status; after.Changes != before.Changes || after.Reason != before.Reason {
		f.t.Errorf("the status goes on changing while nothing does: %s, then %s, %+v", before.Reason, after.Reason, after.Transitions)
	}
}

// The source's gtid_mode is switched by a restart, so that it refuses to send what is archived last. All of that is there
// still: the archive goes on, with a smaller overlap; also where the last file of the other mode is archived whole.
func TestGTIDModeSwitched(t *testing.T) {
	off := []string{"--gtid-mode=OFF", "--enforce-gtid-consistency=ON"}
	for name, modes := range map[string][2][]string{"OFF to ON": {off, nil}, "ON to OFF": {nil, off}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, servers.MySQL, modes[0]...)
			f.createTask("orders")
			stop := f.start("1")
			f.write(10)
			f.allArchived("orders")
			stop()
			f.restartAs(modes[1]...)
			f.start("1")
			v := f.await("orders", "running", 20*time.Second, running)
			if v.Status.Changes != 5 { // two starts, and a stop
				t.Errorf("the state has changed %d times: %+v", v.Status.Changes, v.Status.Transitions)
			}
			if f.journal.count("in its present gtid_mode") == 0 {
				t.Error("the source has not refused anything: the fault has not struck")
			}
			f.write(10)
			f.compare("orders")
			if n := len(f.timelines("orders")); n != 1 {
				t.Errorf("%d timelines, want 1", n)
			}
		})
	}
}

// The same, and there is more of the other mode that is not archived yet. No start is past that: the operator is told which
// mode to set, the task looks again when he resumes it, and nothing is lost.
func TestGTIDModeSwitchedInTheMiddle(t *testing.T) {
	off := []string{"--gtid-mode=OFF", "--enforce-gtid-consistency=ON"}
	for name, test := range map[string]struct {
		before, after []string
		permissive    string
	}{
		"OFF to ON": {off, nil, "ON_PERMISSIVE"},
		"ON to OFF": {nil, off, "OFF_PERMISSIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, servers.MySQL, test.before...)
			f.createTask("orders")
			stop := f.start("1")
			f.write(10)
			f.allArchived("orders")
			stop()
			f.write(10)
			f.restartAs(test.after...)
			f.start("1")
			f.awaitBlocked("orders", zkpaths.BlockedGTIDMode)
			v := f.look("orders")
			if !contains(v.Status.Hint, "gtid_mode = "+test.permissive) {
				t.Errorf("hint %q, want gtid_mode = %s", v.Status.Hint, test.permissive)
			}
			f.staysBlocked("orders", v.Status)
			if err := f.src.Exec(t.Context(), "SET GLOBAL gtid_mode = "+test.permissive); err != nil {
				t.Fatal(err)
			}
			f.resume("orders")
			f.await("orders", "running", 20*time.Second, running)
			f.allArchived("orders")
			f.write(3)
			f.compare("orders")
			if n := len(f.timelines("orders")); n != 1 {
				t.Errorf("%d timelines, want 1", n)
			}
		})
	}
}

// A closed file of the source's is corrupt behind what is archived. No replica can pass that: the task is blocked and says
// where, without going round or back and forth, and the way out that it shows is one.
func TestSourceFileCorrupt(t *testing.T) {
	flip := func(file []byte, start, end int) []byte { file[start+30] ^= 0x10; return file }
	cutOut := func(file []byte, start, end int) []byte { return append(file[:start+20], file[end:]...) }
	cutOff := func(file []byte, start, end int) []byte { return file[:start+20] }
	for name, test := range map[string]struct {
		kind   servers.Kind
		damage func(file []byte, start, end int) []byte
		reason string
	}{
		"a bit, MySQL":                   {servers.MySQL, flip, zkpaths.BlockedSourceCorrupt},
		"a bit, MariaDB":                 {servers.MariaDB118, flip, zkpaths.BlockedSourceCorrupt},
		"20 bytes of an event are there": {servers.MySQL, cutOut, zkpaths.BlockedSourceCorrupt},
		"the file ends in that event":    {servers.MySQL, cutOff, zkpaths.BlockedTorn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, test.kind)
			f.createTask("orders")
			stop := f.start("1")
			f.write(5)
			f.allArchived("orders")
			stop()
			f.write(20)
			if err := f.src.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
				t.Fatal(err)
			}
			f.write(5)
			archived := f.look("orders").LastCommit
			at := f.damage(archived.File, archived.Position, test.damage)
			f.start("1")
			f.start("2")
			f.awaitBlocked("orders", test.reason)
			v := f.look("orders")
			if !contains(v.Status.Detail, archived.File) || !contains(v.Status.Detail, fmt.Sprint(at)) {
				t.Errorf("detail %q, want word of %s and %d", v.Status.Detail, archived.File, at)
			}
			if v.LastCommit.File != archived.File || v.LastCommit.Position != at {
				t.Errorf("archived up to %s:%d, want all that is whole: %d", v.LastCommit.File, v.LastCommit.Position, at)
			}
			f.staysBlocked("orders", v.Status)
			if again := f.look("orders"); again.LastCommit.Term != v.LastCommit.Term {
				t.Errorf("term %d, want still %d", again.LastCommit.Term, v.LastCommit.Term)
			}
			f.purgeToNewest()
			f.accept("orders", zkpaths.AcceptGap)
			f.await("orders", "running", 20*time.Second, running)
			f.compare("orders")
			if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Gap == nil {
				t.Errorf("timelines %+v, want a second one with a gap", timelines)
			}
		})
	}
}

// damage changes a binlog file of the source's by what damage makes of it, for the third event behind offset, which ends
// where the next begins. It returns where that one begins.
func (f *fleet) damage(file string, offset int64, damage func(file []byte, start, end int) []byte) int64 {
	f.t.Helper()
	path := filepath.Join(f.src.DataDir(), file)
	content, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	size := func(at int) int { return int(binlog.ParseHeader(content[at:]).Size) }
	start := int(offset)
	for range 2 {
		start += size(start)
	}
	if err := os.WriteFile(path, damage(content, start, start+size(start)), 0o640); err != nil {
		f.t.Fatal(err)
	}
	return int64(start)
}

func (f *fleet) purgeToNewest() {
	f.t.Helper()
	files, err := f.src.BinlogFiles()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.src.Exec(f.t.Context(), "PURGE BINARY LOGS TO '"+filepath.Base(files[len(files)-1])+"'"); err != nil {
		f.t.Fatal(err)
	}
}
