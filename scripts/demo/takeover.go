package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

const (
	lookInterval = 5 * time.Millisecond // between two looks at the task: how exact a takeover's time is
	patience     = time.Minute          // with any one thing that has to happen
)

// takeover is one change of primary.
type takeover struct {
	from, to string // server ids
	term     int64
	took     time.Duration // from the strike until lastCommit.term had grown
}

// takeOver strikes the primary and waits until another worker has claimed the task and its dump is open.
func (d *demo) takeOver(ctx context.Context, how string, strike func(*servers.Program) error) (takeover, error) {
	before, err := d.await(ctx, "a primary that archives", serves)
	if err != nil {
		return takeover{}, err
	}
	t := takeover{from: before.Status.ServerID}
	primary := d.workers[t.from]
	d.story.tell("%s for worker %s, process %d", how, t.from, primary.Pid())

	var group errgroup.Group
	began := time.Now()
	group.Go(func() error { return strike(primary) })
	after, err := d.await(ctx, "a takeover", func(view coord.TaskView) bool {
		return view.LastCommit.Term > before.LastCommit.Term && view.LastCommit.ServerID != t.from
	})
	t.took = time.Since(began)
	if err := errors.Join(err, group.Wait()); err != nil {
		return takeover{}, err
	}
	t.to, t.term = after.LastCommit.ServerID, after.LastCommit.Term
	_, err = d.await(ctx, "the new primary's dump", serves)
	return t, err
}

// serves reports whether the task's primary has its dump open and has committed in its term.
func serves(view coord.TaskView) bool {
	return view.Status.State == zkpaths.StateRunning && len(view.Line) > 0 && view.Status.Instance == view.Line[0].Name &&
		view.LastCommit.Instance == view.Status.Instance && view.LastCommit.Commit > 0
}

// await looks at the task until done says that the goal is reached. A blocked task never gets there.
func (d *demo) await(ctx context.Context, goal string, done func(coord.TaskView) bool) (coord.TaskView, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	var view coord.TaskView
	for {
		seen, err := d.session.Look(ctx, task)
		if err == nil {
			view = seen
		} else if ctx.Err() == nil {
			return view, err
		}
		switch {
		case err == nil && done(view):
			return view, nil
		case view.Status.State == zkpaths.StateBlocked:
			return view, &blockedError{view.Status}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return view, fmt.Errorf("wait for %s: %w; the task is %s (%s %s), its line has %d workers, its checkpoint is %s:%d, term %d, commit %d", goal, ctx.Err(),
				view.Status.State, view.Status.Reason, view.Status.Detail, len(view.Line), view.LastCommit.File, view.LastCommit.Position, view.LastCommit.Term, view.LastCommit.Commit)
		}
	}
}

// blockedError says that the task waits for an operator.
type blockedError struct{ status zkpaths.Status }

func (e *blockedError) Error() string {
	return fmt.Sprintf("task %s is blocked: %s: %s", task, e.status.Reason, e.status.Detail)
}

// Hint is what the worker says to do.
func (e *blockedError) Hint() string { return e.status.Hint }
