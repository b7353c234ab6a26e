//go:build integration

package worker_test

import (
	"os"
	"path/filepath"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// change is what a command of the operator does to the spec.
func (f *fleet) change(id string, change func(*zkpaths.Spec)) {
	f.t.Helper()
	_, err := f.sess.UpdateSpec(f.t.Context(), id, func(s *zkpaths.Spec) error { change(s); return nil })
	if err != nil {
		f.t.Fatal(err)
	}
}

// accept answers the block that the task is in; without one, as an earlier version's
// command does.
func (f *fleet) accept(id, answer string) {
	f.t.Helper()
	v, err := f.sess.Look(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	f.change(id, func(s *zkpaths.Spec) {
		s.Accept = &zkpaths.Accept{Answer: answer, Timeline: v.LastCommit.Timeline, File: v.LastCommit.File, Position: v.LastCommit.Position,
			Reason: v.Status.Reason, Server: v.Status.SeenServer, At: zkpaths.At(time.Now())}
	})
}

// awaitBlocked waits until the task is blocked for reason, with a hint.
func (f *fleet) awaitBlocked(id, reason string) {
	f.t.Helper()
	v := f.await(id, "blocked: "+reason, 20*time.Second, func(v coord.TaskView) bool { return v.Status.State == zkpaths.StateBlocked })
	if v.Status.Reason != reason || v.Status.Hint == "" || v.Status.Detail == "" {
		f.t.Fatalf("blocked for %q (%q, hint %q), want %q", v.Status.Reason, v.Status.Detail, v.Status.Hint, reason)
	}
	if len(v.Line) == 0 {
		f.t.Error("a blocked primary has left the line")
	}
}

func (f *fleet) look(id string) coord.TaskView {
	f.t.Helper()
	v, err := f.sess.Look(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

// lookAgain makes a blocked primary look at once, as it does every 30 s.
func (f *fleet) lookAgain(id string) {
	f.t.Helper()
	f.change(id, func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused })
	f.await(id, "paused", 20*time.Second, func(v coord.TaskView) bool { return v.Status.State == zkpaths.StatePaused })
	f.change(id, func(s *zkpaths.Spec) { s.Desired = zkpaths.Running })
}

// startLoad writes to the source until stop is called or the test ends, at most a transaction in a pause.
func (f *fleet) startLoad() (stop func()) {
	f.t.Helper()
	f.write(1)
	halt, done := make(chan struct{}), make(chan error, 1)
	go func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-halt:
				done <- nil
				return
			case <-pace.C:
			}
			if err := f.src.Exec(f.t.Context(), "INSERT INTO shop.orders (note) VALUES (REPEAT(UUID(), 5))"); err != nil {
				done <- err
				return
			}
		}
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		close(halt)
		if err := <-done; err != nil && f.t.Context().Err() == nil {
			f.t.Errorf("load: %v", err)
		}
	}
	f.t.Cleanup(stop)
	return stop
}

func hurry(w *worker.Worker) { w.Hurry(time.Second, 2*time.Second, 200*time.Millisecond) }

// awaitQuery waits until the source executes a query that is like a pattern.
func (f *fleet) awaitQuery(pattern string) {
	f.t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		var n int
		err := f.src.DB().QueryRowContext(f.t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE ?", pattern).Scan(&n)
		if err != nil {
			f.t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the source has not been asked %s within %s", pattern, soon)
		}
	}
}

// removeSegments makes the archive end before file, as if its primary had died
// there.
func (f *fleet) removeSegments(id, file string) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, id, "00000001", file)); err != nil {
		f.t.Fatal(err)
	}
}
