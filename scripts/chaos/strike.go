package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// A fault is what a strike does, once it is known to whom.
type fault struct {
	whom   string
	holds  []string                    // what no other strike may touch meanwhile
	strike func(context.Context) error // an error says that it has missed: a missedError wholly, any other perhaps not
	heal   func(context.Context) error // nil for none; a missedError says that it has met nothing, any other is a problem
}

// A missedError says why a strike has met nothing.
type missedError struct{ why string }

func (e *missedError) Error() string { return e.why }

func missed(format string, args ...any) error { return &missedError{fmt.Sprintf(format, args...)} }

// An endedError says that a server did not run that nothing had struck, which is a problem.
type endedError struct{ server string }

func (e *endedError) Error() string { return e.server + " has ended by itself" }

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

// needDisk are the kinds that miss without a disk of its own.
var needDisk = []string{"disk-full", "disk-read-only", "disk-away"}

// often is how many strikes of a kind cannot all miss by chance.
const often = 4

// neverStruck are the kinds that were scheduled often and have never struck, but for those of a disk that is not there.
func neverStruck(strikes []strike, t *tally, disk bool) []string {
	scheduled := map[string]int{}
	for _, s := range strikes {
		scheduled[s.kind]++
	}
	maps.DeleteFunc(scheduled, func(kind string, n int) bool {
		return n < often || t.struck[kind] > 0 || !disk && slices.Contains(needDisk, kind)
	})
	return slices.Sorted(maps.Keys(scheduled))
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
		r.failed(ctx, s, f, err)
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

// failed tells of a strike that has failed with err, and heals at once what it may have struck before.
func (r *rig) failed(ctx context.Context, s strike, f fault, err error) {
	var none *missedError
	var ended *endedError
	if errors.As(err, &ended) {
		r.log.problem("%s [%s]: MISSED: %v", s, f.whom, err)
	} else {
		r.log.tell("%s [%s]: MISSED: %v", s, f.whom, err)
	}
	if f.heal == nil || errors.As(err, &none) {
		return
	}
	if err := f.heal(context.WithoutCancel(ctx)); err != nil && !errors.As(err, &none) {
		r.log.problem("#%-3d %s [%s] cannot be healed: %v", s.number, s.kind, f.whom, err)
	}
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
