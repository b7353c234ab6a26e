//go:build faults

//faults:worker

package worker_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

func TestPauseResumeSwitchoverSetRemove(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	f.start("2")
	f.write(20)
	v := f.await("orders", "a standby", soon, func(v coord.TaskView) bool { return len(v.Line) == 2 })

	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused })
	paused := f.await("orders", "paused", soon, func(v coord.TaskView) bool { return v.Status.State == zkpaths.StatePaused })
	if len(paused.Line) != 2 {
		t.Errorf("instances left the line in a pause: %v", paused.Line)
	}
	before := paused.LastCommit
	f.write(20)
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Running })
	resumed := f.await("orders", "running again", soon, running)
	if resumed.LastCommit.Term != before.Term {
		t.Errorf("term %d after a pause in term %d", resumed.LastCommit.Term, before.Term)
	}

	standby := v.Line[1]
	f.change("orders", func(s *zkpaths.Spec) { s.SwitchoverTo = standby.Name })
	switched := f.await("orders", "the second as primary", soon, primary("2"))
	if len(switched.Line) != 2 || switched.Line[1].ServerID != "1" {
		t.Errorf("after the switchover the line is %v, want the first worker at its end", switched.Line)
	}

	f.change("orders", func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(50 * time.Millisecond) })
	f.write(20)
	f.compare("orders")
	if v := f.look("orders"); !primary("2")(v) || v.LastCommit.Term != switched.LastCommit.Term {
		t.Errorf("after a change of the flush interval: status %+v in term %d, want the second's of term %d", v.Status, v.LastCommit.Term, switched.LastCommit.Term)
	}

	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Removed })
	deadline := time.Now().Add(soon)
	for {
		ids, err := f.sess.Tasks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the removed task's nodes are still there")
		}
		time.Sleep(10 * time.Millisecond)
	}

	f.createTask("orders") // with the same task_uid: as `task create` takes an archive over
	f.await("orders", "archiving again", soon, running)
	f.write(20)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}

func TestPurgedIsBlockedUntilAccepted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.compare("orders")
	stop()
	for range 3 {
		f.write(10)
		if err := f.src.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
			t.Fatal(err)
		}
	}
	files, err := f.src.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.src.Exec(t.Context(), "PURGE BINARY LOGS TO '"+filepath.Base(files[len(files)-1])+"'"); err != nil {
		t.Fatal(err)
	}
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedPurged)
	asked := time.Now()
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "another look after the wrong answer", 5*time.Second, func(v coord.TaskView) bool { return v.Status.UpdatedAt.After(asked) })
	f.awaitBlocked("orders", zkpaths.BlockedPurged)
	f.accept("orders", zkpaths.AcceptGap)
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	f.compare("orders")
	timelines := f.timelines("orders")
	last := timelines[len(timelines)-1]
	if len(timelines) != 2 || last.Reason != archive.ReasonGap || last.Gap == nil || last.Gap.GTIDMissing == "" {
		t.Errorf("timelines %+v, gap %+v", timelines, last.Gap)
	}
}

func TestPurgedJustBehindTheArchiveIsNoGap(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.await("orders", "running", 20*time.Second, running)
	// End the file while nobody archives the next one: the archive ends exactly
	// with a file that is then purged.
	if err := f.src.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
		t.Fatal(err)
	}
	files, err := f.src.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	live := filepath.Base(files[len(files)-1])
	f.await("orders", "the file's end", 10*time.Second, func(v coord.TaskView) bool { return v.LastCommit.File == live })
	stop()
	f.removeSegments("orders", live)
	if err := f.src.Exec(t.Context(), "PURGE BINARY LOGS TO '"+live+"'"); err != nil {
		t.Fatal(err)
	}
	f.accept("orders", zkpaths.AcceptArchive)
	f.start("1")
	f.await("orders", "running", 10*time.Second, running)
	f.write(10)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1: nothing is missing", n)
	}
}

// A source shows a replica a transaction before its commit is done; here, while it
// waits for a semi-synchronous replica that it has not got. Its GTID is not in
// gtid_executed then, which must not be taken for a loss.
func TestUncommittedTransactionIsNotLost(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.write(1)
	f.await("orders", "running", 20*time.Second, running)
	setUp := []string{
		"INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
		"SET GLOBAL rpl_semi_sync_source_timeout = 600000", "SET GLOBAL rpl_semi_sync_source_enabled = ON",
	}
	if err := f.src.Exec(t.Context(), setUp...); err != nil {
		t.Fatal(err)
	}
	before := f.await("orders", "an archive", soon, func(v coord.TaskView) bool { return v.LastCommit.Position > 500 }).LastCommit
	written := make(chan error, 1)
	go func() { written <- f.src.Exec(t.Context(), "INSERT INTO shop.orders (note) VALUES ('waits')") }()
	f.await("orders", "the waiting transaction archived", soon, func(v coord.TaskView) bool { return v.LastCommit.Position > before.Position })
	f.change("orders", func(s *zkpaths.Spec) { s.SegmentSize *= 2 }) // connects anew
	f.awaitQuery("SELECT WAIT_FOR_EXECUTED_GTID_SET%")
	if err := f.src.Exec(t.Context(), "SET GLOBAL rpl_semi_sync_source_enabled = OFF"); err != nil { // ends its waiting
		t.Fatal(err)
	}
	v := f.await("orders", "connected anew", 15*time.Second, func(v coord.TaskView) bool { return running(v) && v.Status.Reconnects > 0 })
	for _, change := range v.Status.Transitions {
		if change.To == zkpaths.StateBlocked {
			t.Errorf("blocked for %s", change.Reason)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	f.compare("orders")
}

func TestAnotherServerIsBlocked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.write(10)
	f.compare("orders")
	other := servertest.StartSource(t, servers.MySQL)
	f.change("orders", func(s *zkpaths.Spec) { s.Source = other.URL() })
	f.awaitBlocked("orders", zkpaths.BlockedOtherSource)
	f.src = other
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	f.compare("orders")
	if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Reason != archive.ReasonOtherSource {
		t.Errorf("timelines %+v", timelines)
	}
}

func TestAnotherTasksArchiveIsBlocked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	store, err := dirstore.Open(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.New(store, "orders").CreateOwner(t.Context(), archive.Owner{TaskUID: "somebody else's", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f.createTask("orders")
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedOtherTask)
}

func TestArchiveBehindIsBlocked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.compare("orders")
	stop()
	whole := f.dir + ".whole"
	if err := os.Rename(filepath.Join(f.dir, "orders"), whole); err != nil {
		t.Fatal(err)
	}
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedArchiveBehind)
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) != 0 {
		t.Errorf("something was written to the wrong folder: %v, %v", entries, err)
	}
	if err := os.Rename(whole, filepath.Join(f.dir, "orders")); err != nil {
		t.Fatal(err)
	}
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused })
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Running })
	f.await("orders", "running", 20*time.Second, running)
	f.compare("orders")
}

// A task that cannot be served leaves the others alone.
func TestFailingTaskDoesNotDisturbOthers(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.createTask("broken")
	f.change("broken", func(s *zkpaths.Spec) { s.Source = "mysql://binkeeper@127.0.0.1:1" })
	f.start("1")
	v := f.await("broken", "a reason", soon, func(v coord.TaskView) bool { return v.Status.Reason != "" })
	if v.Status.State != zkpaths.StateStarting || v.Status.Detail == "" {
		t.Errorf("status %+v, want starting with a reason", v.Status)
	}
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	f.compare("orders")
}
