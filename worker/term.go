package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// A term is one worker's time as primary of a task. It keeps a dump going while the
// operator wants one, says in the status how it fares, and ends when it is
// replaced, hands over or yields.
type term struct {
	m   *member
	t   *coord.Term
	log zerolog.Logger

	dump     *dump.Dump // nil: none is open or being opened
	observer observer
	attempts attempts
	watchdog watchdog

	stopping bool
	status   zkpaths.Status // as last written
	reports  *time.Timer    // fires when the next report is due
	unsaid   bool           // status is newer than what ZooKeeper has
	handOn   bool           // the last dump found a block that others have not looked for yet
	marked   bool           // no more is done about the spec's owner
	replaced bool           // a write was refused: another worker is primary
	broken   error          // the last dump's panic
}

func newTerm(m *member, t *coord.Term, status zkpaths.Status) *term {
	made := &term{m: m, t: t, log: m.log.With().Int64("term", t.Number()).Logger(), status: status}
	made.observer = observer{made, map[string]bool{}}
	return made
}

// run serves the term to its end. It returns the instance that stands for this
// worker after a yield, and why the term ended: a panic of the dump's, before all else.
func (t *term) run(stop, alive context.Context) (next *coord.Instance, cause error) {
	defer t.drop()
	t.reports = time.NewTimer(t.m.w.bounds.report)
	defer t.reports.Stop()
	for alive.Err() == nil && t.broken == nil {
		changed := t.m.sess.Changed()
		t.stopping = stop.Err() != nil
		action := decideInTerm(t.observed())
		next, done, err := t.act(alive, action)
		if done {
			return next, cmp.Or(t.broken, err)
		}
		if action != endDump {
			t.await(stop, alive, changed)
		}
	}
	return nil, cmp.Or(t.broken, t.m.sess.Err())
}

func (t *term) observed() termFacts {
	own := t.m.inst.Place()
	v := termFacts{
		Gone: t.m.spec.Gone, Desired: t.m.spec.Spec.Desired,
		InLine:     !t.replaced,
		SwitchAway: switchAway(t.m.line, own, t.m.spec.Spec.SwitchoverTo),
		Others:     len(t.m.line) > 1,
		Untried:    untried(t.status.Findings, t.m.line, own),
		HandOn:     t.handOn,
		Connected:  t.m.sess.Disconnected() == 0,
		Stopping:   t.stopping,
		Dumping:    t.dump != nil,
		Wedged:     t.watchdog.wedged,
		RetryDue:   !time.Now().Before(t.attempts.retryAt),
		YieldAfter: t.m.yieldAfter,
		LastResort: t.m.w.bounds.lastResort,
	}
	if t.m.lineKnown {
		v.InLine = v.InLine && stands(t.m.line, own)
	}
	if t.dump != nil {
		v.DumpStale = t.dump.Stale(t.m.spec.Spec)
	}
	if !t.attempts.away.IsZero() {
		v.Away = time.Since(t.attempts.away)
	}
	return v
}

// act does what was decided. done says that the term is over.
func (t *term) act(ctx context.Context, action termAction) (next *coord.Instance, done bool, err error) {
	switch action {
	case endTerm:
		return nil, true, coord.ErrFenced
	case resign:
		return nil, true, t.resign(ctx)
	case handOver:
		if !t.endDump(ctx) {
			return nil, true, t.resign(ctx)
		}
		last := t.say(zkpaths.StateStopped, "", "", "")
		return nil, true, t.bounded(ctx, func(ctx context.Context) error { return t.t.HandOver(ctx, last) })
	case yield:
		return t.yield(ctx)
	case endDump:
		if !t.endDump(ctx) {
			return nil, true, t.resign(ctx)
		}
		t.attempts.retryAt = time.Time{}
	case pause:
		if t.status.State != zkpaths.StatePaused {
			t.attempts, t.handOn = t.attempts.paused(), false
			t.write(ctx, t.say(zkpaths.StatePaused, "", "", ""))
		}
	case beginDump:
		if t.status.State == zkpaths.StatePaused {
			t.write(ctx, t.say(zkpaths.StateStarting, "", "", ""))
		}
		t.beginDump(ctx)
	}
	if t.unsaid {
		t.write(ctx, t.status)
	}
	return nil, t.replaced, nil
}

// yield moves this worker to the end of the line. What is open is flushed and
// committed first, unless it is just that which does not work.
func (t *term) yield(ctx context.Context) (*coord.Instance, bool, error) {
	cause := errors.New("switchover")
	state := zkpaths.StateStopped
	switch {
	case t.handOn:
		cause = fmt.Errorf("%w: %s", errHandedOn, t.status.Detail)
		if t.status.State == zkpaths.StateBlocked {
			state = zkpaths.StateBlocked // see atEnd
		}
	case !t.attempts.away.IsZero():
		cause = fmt.Errorf("yielded: %s", t.status.Detail)
		t.m.yielded = t.t.Number()
		if t.dump != nil {
			t.dump.Abort()
		}
	}
	if !t.endDump(ctx) {
		return nil, true, t.resign(ctx)
	}
	last := atEnd(t.say(state, t.status.Reason, t.status.Detail, t.status.Hint), t.m.inst.Place())
	var next *coord.Instance
	err := t.bounded(ctx, func(ctx context.Context) (err error) {
		next, err = t.t.Yield(ctx, last, t.m.w.instance())
		return err
	})
	if err != nil {
		return nil, true, err
	}
	return next, true, cause
}

// bounded does one thing with ZooKeeper, for a session timeout at most: after
// that the session decides.
func (t *term) bounded(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.m.sess.Timeout())
	defer cancel()
	err := do(ctx)
	t.m.meter.wrote(err)
	return err
}

// await waits for one event and records it.
func (t *term) await(stop, alive context.Context, changed <-chan struct{}) {
	var opened, ended <-chan struct{}
	var retry <-chan time.Time
	if t.dump != nil {
		ended = t.dump.Done()
		if t.status.State != zkpaths.StateRunning {
			opened = t.dump.Works(t.attempts.doubted)
		}
	} else if wait := time.Until(t.attempts.retryAt); wait > 0 {
		retry = time.After(wait)
	}
	select {
	case <-stop.Done():
	case <-alive.Done():
	case <-changed:
	case v, ok := <-t.m.specs:
		before := t.m.spec.Spec
		t.m.sawSpec(v, ok)
		if answered(before, t.m.spec.Spec) {
			t.lookAgain()
		}
	case line, ok := <-t.m.lines:
		t.m.sawLine(line, ok)
	case <-opened:
		t.works(alive)
	case <-ended:
		t.ended()
	case <-retry:
	case <-t.reports.C:
		t.report(alive)
	}
}
