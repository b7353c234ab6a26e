package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A fault is what a strike does, once it is known to whom.
type fault struct {
	whom   string
	holds  []string                    // what no other strike may touch meanwhile
	strike func(context.Context) error // an error says that it has missed
	heal   func(context.Context) error // nil for none; a missedError says that it has met nothing, any other is a problem
}

// A missedError says why a strike has met nothing.
type missedError struct{ why string }

func (e *missedError) Error() string { return e.why }

func missed(format string, args ...any) error { return &missedError{fmt.Sprintf(format, args...)} }

// A tally counts the strikes of each kind.
type tally struct {
	mu             sync.Mutex
	struck, missed map[string]int
}

func (t *tally) count(kind string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.struck[kind]++
	} else {
		t.missed[kind]++
	}
}

// strikeAll is the loop: it lets each strike happen when its time has come, and returns when all are healed and the
// length is over. A strike that lasts has a goroutine of its own, and those overlap.
func (r *rig) strikeAll(ctx context.Context, strikes []strike, length time.Duration) *tally {
	t := &tally{struck: map[string]int{}, missed: map[string]int{}}
	began := time.Now()
	r.log.begin(began)
	var under sync.WaitGroup
	for _, s := range strikes {
		pause(ctx, time.Until(began.Add(s.at)))
		if ctx.Err() != nil {
			break
		}
		under.Go(func() { t.count(s.kind, r.perform(ctx, s)) })
	}
	under.Wait()
	pause(ctx, time.Until(began.Add(length)))
	return t
}

// perform does one strike and heals it when it has lasted as long as it should, and tells both. It returns why it has
// missed, if it has. It heals what it struck also when ctx has ended meanwhile.
func (r *rig) perform(ctx context.Context, s strike) error {
	f, err := r.plan(ctx, s)
	if err == nil {
		err = r.hold(s, f.holds)
	}
	if err != nil {
		r.log.tell("%s: MISSED: %v", s, err)
		return err
	}
	defer r.release(f.holds)
	if err := f.strike(ctx); err != nil {
		r.log.tell("%s [%s]: MISSED: %v", s, f.whom, err)
		return err
	}
	r.log.tell("%s [%s]: struck", s, f.whom)
	if f.heal == nil {
		return nil
	}
	pause(ctx, s.lasts)
	err = f.heal(context.WithoutCancel(ctx))
	var none *missedError
	switch {
	case errors.As(err, &none):
		r.log.tell("#%-3d %s [%s]: MISSED after all: %v", s.number, s.kind, f.whom, err)
		return err
	case err != nil:
		r.log.problem("#%-3d %s [%s] cannot be healed: %v", s.number, s.kind, f.whom, err)
	default:
		r.log.tell("#%-3d %s [%s]: healed", s.number, s.kind, f.whom)
	}
	return nil
}

// hold reserves all of names for a strike, or none.
func (r *rig) hold(s strike, names []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if by, ok := r.held[name]; ok {
			return missed("%s is under %s", name, by)
		}
	}
	for _, name := range names {
		r.held[name] = fmt.Sprintf("#%d %s", s.number, s.kind)
	}
	return nil
}

func (r *rig) release(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		delete(r.held, name)
	}
}
