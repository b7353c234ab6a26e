package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// The exit codes that are nothing bad. A panic's is 2, the race detector's 66.
const (
	codeOrderly = 0
	codeSignal  = -1 // a signal ended it, as kill -9 does
	codeTaken   = 5  // its server id is taken: by the session of the process that was killed before it
)

const (
	mindEvery = 100 * time.Millisecond
	// orderPatience is how long a worker may take to end in order, with ZooKeeper or a source away too.
	orderPatience = 30 * time.Second
)

// tend does what a service manager and an operator do, until the function that it returns is called: a worker that has
// ended is started again, and a task that is blocked by a reset gets its answer.
func (r *rig) tend(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var tending sync.WaitGroup
	tending.Go(func() {
		for ctx.Err() == nil {
			for _, w := range r.workers {
				r.mindWorker(ctx, w)
			}
			pause(ctx, mindEvery)
		}
	})
	for _, t := range r.tasks {
		tending.Go(func() { r.answer(ctx, t) })
	}
	return func() {
		cancel()
		tending.Wait()
	}
}

// mindWorker starts a worker that has ended by itself again. That is a problem unless its server id was taken, which
// only ZooKeeper can say when it is not.
func (r *rig) mindWorker(ctx context.Context, w *worker) {
	holds := []string{w.name()}
	if r.hold(strike{kind: "the minder"}, holds) != nil {
		return
	}
	defer r.release(holds)
	if w.Running() {
		return
	}
	if code := w.ExitCode(); code == codeTaken {
		r.log.tell("%s has ended with exit code %d, since its server id is taken, and is started again", w.name(), code)
	} else {
		r.log.problem("%s has ended by itself, with exit code %d: %s", w.name(), code, lastLine(w.Log()))
	}
	if err := w.Start(context.WithoutCancel(ctx)); err != nil {
		r.log.problem("start %s again: %v", w.name(), err)
	}
}

// awaitEnd waits until a worker that was asked to end has done so, in order.
func (r *rig) awaitEnd(ctx context.Context, w *worker) error {
	for deadline := time.Now().Add(orderPatience); w.Running(); pause(ctx, time.Millisecond) {
		if time.Now().After(deadline) {
			w.Kill()
			return fmt.Errorf("%s goes on %s after SIGTERM: %s", w.name(), orderPatience, lastLine(w.Log()))
		}
	}
	// A signal that comes before a process can catch it ends it too.
	if code := w.ExitCode(); code != codeOrderly && code != codeSignal {
		return fmt.Errorf("%s has ended with exit code %d after SIGTERM: %s", w.name(), code, lastLine(w.Log()))
	}
	return nil
}

// disasters are what a program's log must not hold, whatever its exit code says.
var disasters = []string{"WARNING: DATA RACE", "panic: ", "fatal error: "}

// checkLog looks for disasters.
func (r *rig) checkLog(name, path string) {
	log, err := os.ReadFile(path)
	if err != nil {
		r.log.problem("read the log of %s: %v", name, err)
	}
	for _, text := range disasters {
		if n := bytes.Count(log, []byte(text)); n > 0 {
			r.log.problem("the log of %s has %q %d times: %s", name, text, n, path)
		}
	}
}

func lastLine(path string) string {
	log, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	return string(lines[len(lines)-1])
}
