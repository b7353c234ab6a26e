//go:build faults

//faults:worker

package worker_test

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

func TestYieldsWhenItsStoreIsAway(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	gone := func(string) (archive.Store, error) {
		return nil, &archive.StoreError{Store: "file:///gone", Op: "open", Err: errors.New("stale file handle")}
	}
	f.startWith("1", gone, hurry)
	v := f.await("orders", "a reason", soon, func(v coord.TaskView) bool { return v.Status.Reason != "" })
	if v.Status.State != zkpaths.StateStarting || v.Status.Reason != "store-away" {
		t.Errorf("state %s for %q, want starting for store-away", v.Status.State, v.Status.Reason)
	}
	f.startWith("2", stores.Open, hurry)
	v = f.await("orders", "the second as primary", soon, primary("2"))
	if len(v.Line) != 2 || v.Line[1].ServerID != "1" {
		t.Errorf("the line is %v, want the first worker at its end", v.Line)
	}
	f.write(20)
	f.compare("orders")
}

func TestWatchdogGivesAWedgedTermUp(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	hung := hangingStore{armed: new(atomic.Bool), struck: make(chan struct{}), release: make(chan struct{})}
	open := func(url string) (archive.Store, error) {
		store, err := stores.Open(url)
		hung.Store = store
		return hung, err
	}
	f.startWith("1", open, hurry)
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	f.startWith("2", stores.Open, hurry)
	f.await("orders", "a standby", soon, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	f.write(10)
	hung.armed.Store(true)
	f.write(10)
	<-hung.struck
	v := f.await("orders", "the second as primary", 15*time.Second, primary("2"))
	if len(v.Line) != 1 {
		t.Errorf("the line is %v while the first worker hangs, want the second alone", v.Line)
	}
	f.write(10)
	close(hung.release) // a late put, against a chain that has gone on
	f.await("orders", "the first in line again", 10*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	f.write(10)
	f.compare("orders")
}

// What the operator asks of a primary whose store hangs is done by the next one.
func TestPauseOfAWedgedPrimary(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	hung := hangingStore{armed: new(atomic.Bool), struck: make(chan struct{}), release: make(chan struct{})}
	open := func(url string) (archive.Store, error) {
		store, err := stores.Open(url)
		hung.Store = store
		return hung, err
	}
	f.startWith("1", open, func(w *worker.Worker) { w.Hurry(time.Minute, 2*time.Second, time.Minute) })
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	f.startWith("2", stores.Open, hurry)
	f.await("orders", "a standby", soon, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	hung.armed.Store(true)
	f.write(10)
	<-hung.struck
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused })
	f.await("orders", "paused by the second", 15*time.Second, func(v coord.TaskView) bool {
		return v.Status.State == zkpaths.StatePaused && v.Status.ServerID == "2"
	})
	close(hung.release)
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Running })
	f.await("orders", "running", soon, running)
	f.compare("orders")
}

// When another server answers at the address, what was read of the one before is
// kept, and nothing of the other is mixed in.
func TestMovedAddress(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	door := faultstest.NewProxy(t, f.src.Addr(), faults.Raw)
	f.createTask("orders")
	f.change("orders", func(s *zkpaths.Spec) {
		s.Source = "mysql://" + servers.User + "@" + door.Addr()
		s.FlushInterval = zkpaths.Duration(time.Minute) // what is read waits in memory
	})
	f.startWith("1", stores.Open, func(w *worker.Worker) { w.AskAddress(time.Second, time.Minute) })
	f.await("orders", "running", 20*time.Second, running)
	f.write(30)
	door.Retarget(servertest.StartSource(t, servers.MySQL).Addr()) // for the side connection; the dump stays where it is
	f.awaitBlocked("orders", zkpaths.BlockedOtherSource)
	v, err := f.sess.Look(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	files, err := f.src.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	live, err := os.Stat(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	if v.LastCommit.Position != live.Size() {
		t.Errorf("the archive ends at %s:%d, the source that is gone from the address had written %d bytes", v.LastCommit.File, v.LastCommit.Position, live.Size())
	}
}
