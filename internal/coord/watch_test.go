package coord

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

// touched waits until the Watcher tells of tasks.
func touched(t *testing.T, w *Watcher) []string {
	t.Helper()
	select {
	case <-w.Changed():
		return w.Take()
	case <-time.After(2 * time.Second):
		t.Fatal("no change is announced")
	}
	return nil
}

func watchLook(t *testing.T, w *Watcher, id string) TaskView {
	t.Helper()
	view, err := w.Look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func TestWatcherTellsWhatChanged(t *testing.T) {
	checkLeaks(t)
	s, other := open(t, standalone), open(t, standalone)
	w := s.Watch()
	for _, id := range []string{"orders", "invoices"} {
		createTask(t, other, id)
		watchLook(t, w, id)
		watchLook(t, w, id) // no second watch
	}
	select {
	case <-w.Changed():
		t.Errorf("told of %v, and nothing has changed", w.Take())
	case <-time.After(300 * time.Millisecond):
	}
	tests := []struct {
		name   string
		change func()
		seen   func(TaskView) bool
	}{
		{"the line", func() { join(t, other, "orders", "1") }, func(v TaskView) bool { return len(v.Line) == 1 && v.Line[0].ServerID == "1" }},
		{"the line again", func() { join(t, other, "orders", "2") }, func(v TaskView) bool { return len(v.Line) == 2 }},
		{"the spec", func() {
			if _, err := other.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Paused; return nil }); err != nil {
				t.Fatal(err)
			}
		}, func(v TaskView) bool { return v.Spec.Desired == zkpaths.Paused && len(v.Line) == 2 }},
		{"the status", func() { raw(t, other).set(zkpaths.State("orders"), `{"format":1,"state":"blocked"}`) },
			func(v TaskView) bool {
				return v.Status.State == zkpaths.StateBlocked && v.Spec.Desired == zkpaths.Paused
			}},
		{"a broken status", func() { raw(t, other).set(zkpaths.State("orders"), "x") }, func(v TaskView) bool { return v.StatusErr != nil }},
	}
	for _, test := range tests {
		test.change()
		if got := touched(t, w); !slices.Equal(got, []string{"orders"}) {
			t.Errorf("%s: told of %v", test.name, got)
		}
		view, err := w.Refresh(t.Context(), "orders")
		if err != nil || !test.seen(view) {
			t.Errorf("%s: a refresh sees %+v, %v", test.name, view, err)
		}
	}
	raw(t, other).set(zkpaths.Checkpoint("orders"), `{"format":1,"position":7}`)
	if last, wrong, err := w.LastCommit(t.Context(), "orders"); last.Position != 7 || wrong != nil || err != nil {
		t.Errorf("checkpoint %+v, %v, %v", last, wrong, err)
	}
	if view, err := w.Refresh(t.Context(), "orders"); err != nil || view.LastCommit.Position != 7 {
		t.Errorf("a refresh after it sees %+v, %v", view.LastCommit, err)
	}
	for _, path := range []string{zkpaths.State("invoices"), zkpaths.Checkpoint("invoices"), zkpaths.Line("invoices"), zkpaths.Task("invoices")} {
		raw(t, other).remove(path)
	}
	eventually(t, 2*time.Second, "the task is gone", func() bool {
		_, err := w.Refresh(t.Context(), "invoices")
		return errors.Is(err, ErrNoTask)
	})
	if _, err := w.Look(t.Context(), "none"); !errors.Is(err, ErrNoTask) {
		t.Errorf("no task: %v", err)
	}
	if n := len(w.views); n != 1 {
		t.Errorf("it keeps %d views, want 1", n)
	}
}

// A watch that is lost is set again by the look that finds the change.
func TestWatcherSetsLostWatchesAgain(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s, other := open(t, p.Addr()), open(t, standalone)
	createTask(t, other, "orders")
	w := s.Watch()
	watchLook(t, w, "orders")
	p.Script(faults.Every(faults.Drop, faults.ReplyTo(faults.OpNone)))
	join(t, other, "orders", "1")
	p.AwaitStruck()
	p.Script(nil)
	if view := watchLook(t, w, "orders"); len(view.Line) != 1 { // finds it
		t.Errorf("line %v", view.Line)
	}
	watchLook(t, w, "orders") // watches again
	join(t, other, "orders", "2")
	if got := touched(t, w); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("told of %v", got)
	}
}

// A node that came to be between two looks is watched from then on.
func TestWatcherOfAMissingNode(t *testing.T) {
	checkLeaks(t)
	s, other := open(t, standalone), open(t, standalone)
	createTask(t, other, "orders")
	raw(t, other).remove(zkpaths.State("orders"))
	w := s.Watch()
	if view := watchLook(t, w, "orders"); !errors.Is(view.StatusErr, ErrMissing) {
		t.Errorf("status: %v", view.StatusErr)
	}
	raw(t, other).create(zkpaths.State("orders"), `{"format":1,"state":"running"}`, zk.FlagPersistent)
	if view := watchLook(t, w, "orders"); view.StatusErr != nil || view.Status.State != zkpaths.StateRunning {
		t.Errorf("status %+v, %v", view.Status, view.StatusErr)
	}
	raw(t, other).set(zkpaths.State("orders"), `{"format":1,"state":"blocked"}`)
	if got := touched(t, w); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("told of %v", got)
	}
}
