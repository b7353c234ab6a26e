package monitor

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

const (
	checkpointEvery = 15 * time.Second // between two looks at every lastCommit
	sweepEvery      = 30 * time.Second // between two looks at everything: every second of them
	openTimeout     = 15 * time.Second // of opening a session
	reopenPause     = time.Second      // after a session has ended
	lookers         = 16               // reads under way at a time, of a sweep and of what has changed each
)

// A witness is told what a survey sees, in order and by one goroutine at a time.
type witness interface {
	opened(timeout time.Duration) // a session, and its negotiated timeout
	listed(list coord.TaskList)   // all tasks that there are, and those that were removed
	saw(o Observation)
	checkpoint(id string, last zkpaths.LastCommit)
	swept() // all tasks were seen
	lost(trouble error)
}

// A survey looks at every task, in one session after the other. A disconnection
// ends a session: what it has watched may have been lost.
type survey struct {
	zookeeper coord.Config
	tell      func(func(witness)) // runs it in the order of the calls; false once the monitor has ended
}

// run looks until ctx ends.
func (s *survey) run(ctx context.Context) {
	for {
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.tell(func(w witness) { w.lost(err) })
		select {
		case <-time.After(reopenPause):
		case <-ctx.Done():
			return
		}
	}
}

// session looks within one session, until it is disconnected or over.
func (s *survey) session(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	session, err := coord.Open(opening, s.zookeeper)
	cancel()
	if err != nil {
		return err
	}
	defer session.Close()
	v := &visit{survey: s, session: session, watcher: session.Watch(), begun: make(chan struct{})}
	s.tell(func(w witness) { w.opened(session.Timeout()) })
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.followConnection(ctx) })
	group.Go(func() error { return v.followList(ctx) })
	group.Go(func() error { return v.followChanges(ctx) })
	group.Go(func() error { return v.sweep(ctx) })
	return group.Wait()
}

// A visit is a survey's work within one session.
type visit struct {
	*survey
	session *coord.Session
	watcher *coord.Watcher
	begun   chan struct{} // closed when the tasks are listed

	mu    sync.Mutex
	ids   []string       // of all tasks
	lanes [64]sync.Mutex // one task is looked at by one goroutine at a time
}

// followConnection returns when the session is disconnected or over.
func (v *visit) followConnection(ctx context.Context) error {
	for {
		changed := v.session.Changed()
		if err := v.session.Err(); err != nil {
			return err
		}
		if v.session.Disconnected() > 0 {
			return coord.ErrDisconnected
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// followList looks at tasks that are new.
func (v *visit) followList(ctx context.Context) error {
	known := map[string]bool{}
	for list := range v.session.FollowTasks(ctx) {
		v.tell(func(w witness) { w.listed(list) })
		first := v.setIDs(list.IDs)
		var fresh []string
		now := map[string]bool{}
		for _, id := range list.IDs {
			now[id] = true
			if !known[id] {
				fresh = append(fresh, id)
			}
		}
		known = now
		if first {
			close(v.begun) // the first sweep looks at them
			continue
		}
		if err := v.each(ctx, fresh, v.look); err != nil {
			return err
		}
	}
	return v.ended(ctx)
}

func (v *visit) setIDs(ids []string) (first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	first = v.ids == nil
	v.ids = ids
	return first
}

func (v *visit) ended(ctx context.Context) error {
	if err := v.session.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// followChanges looks at tasks that have changed.
func (v *visit) followChanges(ctx context.Context) error {
	for {
		select {
		case <-v.watcher.Changed():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := v.each(ctx, v.watcher.Take(), v.refresh); err != nil {
			return err
		}
	}
}

// sweep looks at every checkpoint, and every second time at everything.
func (v *visit) sweep(ctx context.Context) error {
	select {
	case <-v.begun:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		look := v.lookAtCheckpoint
		whole := n%int(sweepEvery/checkpointEvery) == 0
		if whole {
			look = v.look
		}
		v.mu.Lock()
		ids := v.ids
		v.mu.Unlock()
		if err := v.each(ctx, ids, look); err != nil {
			return err
		}
		if whole {
			v.tell(func(w witness) { w.swept() })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// each calls look for every id, a few at a time. A task that is gone is no error.
func (v *visit) each(ctx context.Context, ids []string, look func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			lane := &v.lanes[maphash.String(laneSeed, id)%uint64(len(v.lanes))]
			lane.Lock()
			defer lane.Unlock()
			if err := look(ctx, id); !errors.Is(err, coord.ErrNoTask) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

var laneSeed = maphash.MakeSeed()

// look reads all of a task.
func (v *visit) look(ctx context.Context, id string) error { return v.saw(v.watcher.Look(ctx, id)) }

// refresh reads what has changed of a task.
func (v *visit) refresh(ctx context.Context, id string) error {
	return v.saw(v.watcher.Refresh(ctx, id))
}

func (v *visit) saw(view coord.TaskView, err error) error {
	if err != nil {
		return err
	}
	o := Observe(view)
	v.tell(func(w witness) { w.saw(o) })
	return nil
}

// lookAtCheckpoint reads a task's checkpoint, and all of it when that cannot be used.
func (v *visit) lookAtCheckpoint(ctx context.Context, id string) error {
	last, wrong, err := v.watcher.LastCommit(ctx, id)
	if err != nil {
		return err
	}
	if wrong != nil {
		return v.look(ctx, id)
	}
	v.tell(func(w witness) { w.checkpoint(id, last) })
	return nil
}
