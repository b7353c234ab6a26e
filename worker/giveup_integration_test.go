//go:build integration

package worker_test

import (
	"context"
	"errors"
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

func hurry(w *worker.Worker) { w.Hurry(time.Second, 2*time.Second, 200*time.Millisecond) }

func TestYieldsWhenItsStoreIsAway(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	gone := func(string) (archive.Store, error) {
		return nil, &archive.StoreError{Store: "file:///gone", Op: "open", Err: errors.New("stale file handle")}
	}
	f.startWith("1", gone, hurry)
	v := f.await("orders", "a reason", 5*time.Second, func(v coord.TaskView) bool { return v.Status.Reason != "" })
	if v.Status.State != zkpaths.StateStarting || v.Status.Reason != "store-away" {
		t.Errorf("state %s for %q, want starting for store-away", v.Status.State, v.Status.Reason)
	}
	f.startWith("2", stores.Open, hurry)
	v = f.await("orders", "the second as primary", 10*time.Second, primary("2"))
	if len(v.Line) != 2 || v.Line[1].ServerID != "1" {
		t.Errorf("the line is %v, want the first worker at its end", v.Line)
	}
	f.write(20)
	f.compare("orders")
}

// A hangingStore's creates hang, once armed, until released: as on a network
// folder that is gone. They take effect then.
type hangingStore struct {
	archive.Store
	armed   *atomic.Bool
	struck  chan struct{}
	release chan struct{}
}

func (s hangingStore) Create(ctx context.Context, name string, parts ...[]byte) error {
	if s.armed.CompareAndSwap(true, false) {
		close(s.struck)
		<-s.release
		return s.Store.Create(context.WithoutCancel(ctx), name, parts...)
	}
	return s.Store.Create(ctx, name, parts...)
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
	f.await("orders", "a standby", 5*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 })
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
