//go:build faults

//faults:archive

package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// lookOften lets a blocked worker look again soon.
func lookOften(w *worker.Worker) { w.AskAddress(time.Minute, 300*time.Millisecond) }

// A mount is a host's way to the archive: without it, there is an empty folder.
type mount struct {
	empty string
	there atomic.Bool
}

func (f *fleet) newMount() *mount { return &mount{empty: f.t.TempDir()} }

func (m *mount) open(url string) (archive.Store, error) {
	if m.there.Load() {
		return stores.Open(url)
	}
	return stores.Open("file://" + m.empty)
}

// foundBy are the servers that say that they are blocked for reason, as a set.
func foundBy(v coord.TaskView, reason string) map[string]bool {
	found := map[string]bool{}
	for _, f := range v.Status.Findings {
		if f.Reason == reason {
			found[f.ServerID] = true
		}
	}
	return found
}

// blockedTransitions counts the changes of state to and from blocked.
func blockedTransitions(v coord.TaskView) (n int) {
	for _, change := range v.Status.Transitions {
		if change.From == zkpaths.StateBlocked || change.To == zkpaths.StateBlocked {
			n++
		}
	}
	return n
}

// agreed reports whether the task is blocked for reason, as both workers have found it.
func agreed(reason string) func(coord.TaskView) bool {
	return func(v coord.TaskView) bool {
		found := foundBy(v, reason)
		return v.Status.State == zkpaths.StateBlocked && v.Status.Reason == reason && found["1"] && found["2"] && len(v.Line) == 2
	}
}

// awaitCalm wants a blocked task to stay where it is while it looks again, and again.
func (f *fleet) awaitCalm(id string) coord.TaskView {
	f.t.Helper()
	before := f.look(id)
	looks := before.StatusVersion
	after := f.await(id, "three more looks", 10*time.Second, func(v coord.TaskView) bool { return v.StatusVersion >= looks+3 })
	if after.Status.Term != before.Status.Term || after.Line[0].Name != before.Line[0].Name || after.Status.Changes != before.Status.Changes {
		f.t.Errorf("a task that all agree on has moved: %+v, line %v; then %+v, line %v", before.Status, before.Line, after.Status, after.Line)
	}
	return after
}

// set writes data to a znode by hand.
func (f *fleet) set(path, data string) {
	f.t.Helper()
	if _, err := servers.ZKCli(f.t.Context(), ensemble.Addr(), "set", f.cfg.Root+path, data); err != nil {
		f.t.Fatal(err)
	}
}

func TestBlockOfOneHostIsHandedOn(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	first, second := f.newMount(), f.newMount()
	second.there.Store(true)
	stop := f.startWith("2", second.open, lookOften)
	f.write(10)
	f.compare("orders")
	f.startWith("1", first.open, lookOften)
	f.await("orders", "a standby", 10*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 })

	stop() // which leaves the task to a host without the archive
	f.awaitBlocked("orders", zkpaths.BlockedArchiveBehind)
	stop = f.startWith("2", second.open, lookOften)
	v := f.await("orders", "the second as primary", 10*time.Second, primary("2"))
	if n := blockedTransitions(v); n != 2 || len(v.Status.Findings) > 0 {
		t.Errorf("%d transitions to and from blocked, want 2; findings %+v: %+v", n, v.Status.Findings, v.Status.Transitions)
	}
	f.write(10)
	f.compare("orders")

	second.there.Store(false)
	stop()
	f.startWith("2", second.open, lookOften)
	v = f.await("orders", "both to agree", 10*time.Second, agreed(zkpaths.BlockedArchiveBehind))
	f.awaitCalm("orders")

	standby := v.Line[1].ServerID
	map[string]*mount{"1": first, "2": second}[standby].there.Store(true)
	f.change("orders", func(s *zkpaths.Spec) { s.ResumedAt = zkpaths.At(time.Now()) })
	f.await("orders", "the one that has the archive again", 10*time.Second, primary(standby))
	f.write(10)
	f.compare("orders")
}

// The same where the block keeps workers from claiming the task at all.
func TestBlockAtTheClaimIsHandedOn(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	first, second := f.newMount(), f.newMount()
	first.there.Store(true)
	stop := f.startWith("1", first.open, lookOften)
	f.write(10)
	f.compare("orders")
	stop()

	first.there.Store(false)
	f.set(zkpaths.Checkpoint("orders"), "garbage")
	stop = f.startWith("1", first.open, lookOften)
	f.awaitBlocked("orders", zkpaths.BlockedNoPosition)
	stopSecond := f.startWith("2", second.open, lookOften)
	f.await("orders", "both to agree", 10*time.Second, agreed(zkpaths.BlockedNoPosition))
	v := f.awaitCalm("orders")
	if n := blockedTransitions(v); n != 1 {
		t.Errorf("%d transitions to and from blocked, want 1: %+v", n, v.Status.Transitions)
	}
	stopSecond()
	second.there.Store(true)
	stopSecond = f.startWith("2", second.open, lookOften)
	f.await("orders", "the second as primary", 10*time.Second, primary("2"))
	f.compare("orders")

	// A status of a newer version is left alone, and the line goes round.
	stopSecond()
	f.await("orders", "blocked alone", 10*time.Second, func(v coord.TaskView) bool { return v.Status.State == zkpaths.StateBlocked && v.Status.ServerID == "1" })
	stop()
	f.set(zkpaths.State("orders"), `{"format":2}`)
	f.startWith("1", first.open, lookOften)
	f.await("orders", "the first in line", 10*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 1 })
	f.startWith("2", second.open, lookOften)
	for _, serverID := range []string{"2", "1", "2"} {
		f.await("orders", serverID+" first in line", 10*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 && v.Line[0].ServerID == serverID })
	}
}
