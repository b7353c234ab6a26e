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

// An observer is told what a survey sees, in order and by one goroutine at a time.
type observer interface {
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
	tell      func(func(observer)) // runs it in the order of the calls; false once the monitor has ended
}

// run looks until ctx ends.
func (s *survey) run(ctx context.Context) {
	for {
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.tell(func(w observer) { w.lost(err) })
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
	ss := &surveySession{survey: s, session: session, watcher: session.Watch(), begun: make(chan struct{})}
	s.tell(func(w observer) { w.opened(session.Timeout()) })
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ss.followConnection(ctx) })
	group.Go(func() error { return ss.followList(ctx) })
	group.Go(func() error { return ss.followChanges(ctx) })
	group.Go(func() error { return ss.sweep(ctx) })
	return group.Wait()
}

// A surveySession is a survey's work within one session.
type surveySession struct {
	*survey
	session *coord.Session
	watcher *coord.Watcher
	begun   chan struct{} // closed when the tasks are listed

	mu    sync.Mutex
	ids   []string       // of all tasks
	lanes [64]sync.Mutex // one task is looked at by one goroutine at a time
}

// followConnection returns when the session is disconnected or over.
func (ss *surveySession) followConnection(ctx context.Context) error {
	for {
		changed := ss.session.Changed()
		if err := ss.session.Err(); err != nil {
			return err
		}
		if ss.session.Disconnected() > 0 {
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
func (ss *surveySession) followList(ctx context.Context) error {
	known := map[string]bool{}
	for list := range ss.session.FollowTasks(ctx) {
		ss.tell(func(w observer) { w.listed(list) })
		first := ss.setIDs(list.IDs)
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
			close(ss.begun) // the first sweep looks at them
			continue
		}
		if err := ss.each(ctx, fresh, ss.look); err != nil {
			return err
		}
	}
	return ss.ended(ctx)
}

func (ss *surveySession) setIDs(ids []string) (first bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	first = ss.ids == nil
	ss.ids = ids
	return first
}

func (ss *surveySession) ended(ctx context.Context) error {
	if err := ss.session.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// followChanges looks at tasks that have changed.
func (ss *surveySession) followChanges(ctx context.Context) error {
	for {
		select {
		case <-ss.watcher.Changed():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := ss.each(ctx, ss.watcher.Take(), ss.refresh); err != nil {
			return err
		}
	}
}

// sweep looks at every checkpoint, and every second time at everything.
func (ss *surveySession) sweep(ctx context.Context) error {
	select {
	case <-ss.begun:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		look := ss.lookAtCheckpoint
		whole := n%int(sweepEvery/checkpointEvery) == 0
		if whole {
			look = ss.look
		}
		ss.mu.Lock()
		ids := ss.ids
		ss.mu.Unlock()
		if err := ss.each(ctx, ids, look); err != nil {
			return err
		}
		if whole {
			ss.tell(func(w observer) { w.swept() })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// each calls look for every id, a few at a time. A task that is gone is no error.
func (ss *surveySession) each(ctx context.Context, ids []string, look func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			lane := &ss.lanes[maphash.String(laneSeed, id)%uint64(len(ss.lanes))]
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
func (ss *surveySession) look(ctx context.Context, id string) error {
	return ss.saw(ss.watcher.Look(ctx, id))
}

// refresh reads what has changed of a task.
func (ss *surveySession) refresh(ctx context.Context, id string) error {
	return ss.saw(ss.watcher.Refresh(ctx, id))
}

func (ss *surveySession) saw(view coord.TaskView, err error) error {
	if err != nil {
		return err
	}
	o := Observe(view)
	ss.tell(func(w observer) { w.saw(o) })
	return nil
}

// lookAtCheckpoint reads a task's checkpoint, and all of it when that cannot be used.
func (ss *surveySession) lookAtCheckpoint(ctx context.Context, id string) error {
	last, wrong, err := ss.watcher.LastCommit(ctx, id)
	if err != nil {
		return err
	}
	if wrong != nil {
		return ss.look(ctx, id)
	}
	ss.tell(func(w observer) { w.checkpoint(id, last) })
	return nil
}
