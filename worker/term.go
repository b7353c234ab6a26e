package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// A term is one tenure as primary of a task. It keeps a dump going while the
// operator wants one, says in the status how it fares, and ends when it is
// replaced, hands over or yields.
type term struct {
	m   *member
	t   *coord.Term
	log zerolog.Logger

	dump     *dump // nil: none is open or being opened
	stopping bool
	status   zkpaths.Status // as last written
	reports  *time.Timer    // fires when the next report is due
	unsaid   bool           // status is newer than what ZooKeeper has

	dumps     int64                // begun in this term
	failures  int                  // attempts that failed in a row
	conflicts int                  // attempts in a row that met another writer
	retryAt   time.Time            // when the next attempt is due
	away      time.Time            // since when the source or the store cannot be reached; zero: reached
	doubted   bool                 // the last dump failed although it was open: the next one has to show more
	replaced  bool                 // a write was refused: somebody else is primary
	broken    error                // the last dump's panic
	handOn    bool                 // the last dump found a block that others have not looked for yet
	found     string               // what the last dump found in the stream: the reason of a new timeline
	torn      bool                 // the last dump has taken all that the source can send of a file
	corrupt   *source.CorruptError // the fault in what the source sent that ended the last dump, or nil
	watchdog  watchdog
	walked    bool // the checkpoint has been brought to the chain's end in this term
	marked    bool // no more is done about the spec's owner
	swept     bool // what dead writers had left in the archive has been removed
	warned    map[string]bool
}

func newTerm(m *member, t *coord.Term, status zkpaths.Status) *term {
	return &term{m: m, t: t, log: m.log.With().Int64("term", t.Number()).Logger(), status: status, warned: map[string]bool{}}
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

func (t *term) observed() tenure {
	own := t.m.inst.Place()
	v := tenure{
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
		RetryDue:   !time.Now().Before(t.retryAt),
		YieldAfter: t.m.yieldAfter,
		LastResort: t.m.w.bounds.lastResort,
	}
	if t.m.lineKnown {
		v.InLine = v.InLine && stands(t.m.line, own)
	}
	if t.dump != nil {
		v.DumpStale = t.dump.stale(t.m.spec.Spec)
	}
	if !t.away.IsZero() {
		v.Away = time.Since(t.away)
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
		t.retryAt = time.Time{}
	case pause:
		if t.status.State != zkpaths.StatePaused {
			t.away, t.failures, t.handOn = time.Time{}, 0, false
			t.write(ctx, t.say(zkpaths.StatePaused, "", "", ""))
		}
	case beginDump:
		if t.status.State == zkpaths.StatePaused {
			t.write(ctx, t.say(zkpaths.StateStarting, "", "", ""))
		}
		t.dump, t.handOn = startDump(ctx, t), false
		t.watchdog = watchdog{} // what is being retried is no wedge
		if t.dumps++; t.dumps > 1 {
			t.m.tally.reconnects.Add(1)
		}
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
	case !t.away.IsZero():
		cause = fmt.Errorf("yielded: %s", t.status.Detail)
		t.m.yielded = t.t.Number()
		if t.dump != nil {
			t.dump.abort(errTermOver)
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
	t.m.tally.wrote(err)
	return err
}

// commit moves the checkpoint to next, and counts it.
func (t *term) commit(ctx context.Context, next zkpaths.LastCommit) error {
	err := t.t.Commit(ctx, next)
	t.m.tally.committed(err)
	return err
}

// endDump ends the dump in good order: what has been read is archived and
// committed. It is false when the dump hangs, or ctx has ended first.
func (t *term) endDump(ctx context.Context) bool {
	if t.dump == nil {
		return true
	}
	t.dump.stop()
	for {
		moved := t.dump.progress.moved()
		select {
		case <-t.dump.done:
			t.ended(t.dump.err)
			return true
		case <-ctx.Done():
			return false
		case <-time.After(t.m.w.bounds.wedge):
			if t.dump.progress.moved() == moved {
				return false
			}
		}
	}
}

// drop ends the dump at once, and waits until nothing of it runs any more.
func (t *term) drop() {
	if t.dump != nil {
		t.dump.abort(errTermOver)
		<-t.dump.done
		t.dump = nil
	}
}

// await waits for one event and takes note of it.
func (t *term) await(stop, alive context.Context, changed <-chan struct{}) {
	var opened, ended <-chan struct{}
	var retry <-chan time.Time
	if t.dump != nil {
		ended = t.dump.done
		if t.status.State != zkpaths.StateRunning {
			opened = t.dump.works(t.doubted)
		}
	} else if wait := time.Until(t.retryAt); wait > 0 {
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
		t.opened(alive)
	case <-ended:
		t.ended(t.dump.err)
	case <-retry:
	case <-t.reports.C:
		t.report(alive)
	}
}

// foundReasons are the reasons of a new timeline that answer a block.
var foundReasons = map[string]string{
	zkpaths.BlockedDiverged: archive.ReasonDiverged,
	zkpaths.BlockedPurged:   archive.ReasonGap,
}

// opened takes note that the dump is open: the source and the store are there.
func (t *term) opened(ctx context.Context) {
	t.away, t.failures, t.m.yieldAfter = time.Time{}, 0, t.m.w.bounds.unreachable
	t.doubted, t.found, t.conflicts, t.status.Findings = false, "", 0, nil
	from := t.dump.from
	t.log.Info().Str("file", from.File).Int64("position", from.Offset).Int64("timeline", from.Timeline).Msg("archiving")
	t.write(ctx, t.say(zkpaths.StateRunning, "", "", ""))
	t.markOwner(ctx)
	t.reports.Reset(t.untilReport())
}

// ended takes note of how the dump ended, and of when to try again.
func (t *term) ended(err error) {
	t.dump.progress.describe(&t.status)
	trouble := t.dump.judgeEnd(err)
	t.doubted = t.doubted || t.dump.disproved(trouble)
	// The next attempt looks at the file behind; if this one did, it is to be waited with.
	t.torn, t.corrupt = trouble.kind == endedTorn && !t.dump.torn, corruptIn(err)
	seen, spec := t.dump.seen, t.dump.spec
	t.dump = nil
	t.m.tally.ended(trouble)
	switch trouble.kind {
	case endedInOrder:
		t.retryAt = time.Time{}
		return
	case endedFenced:
		t.replaced = true
		return
	case endedByPanic:
		t.broken = err
		return
	case endedByConflict:
		// The barrier of the next attempt tells whether this is still the primary's term.
		t.log.Warn().Err(err).Msg("another writer has appended, or a hand has changed the archive; walking to the chain's end again")
		t.retryAt = time.Now()
		if t.conflicts++; t.conflicts > 1 {
			t.retryAt = t.retryAt.Add(retryDelay(t.conflicts - 1))
			t.trouble(zkpaths.StateStarting, trouble)
		}
		return
	case endedTorn:
		if t.torn {
			t.retryAt = time.Now()
			return
		}
	case endedCutOff:
		t.retryAt = time.Now().Add(retryDelay(1))
		return
	case endedBlocked:
		t.retryAt = time.Now().Add(t.m.w.bounds.blockedLook)
		t.found = foundReasons[trouble.reason]
		t.away, t.failures = time.Time{}, 0
		if answered(spec, t.m.spec.Spec) {
			t.lookAgain() // with the answer, which came while this look was under way
			return
		}
		t.foundBlock(trouble, seen)
		return
	}
	t.failures++
	delay := retryDelay(t.failures)
	t.retryAt = time.Now().Add(delay)
	if trouble.reason == reasonCoordination {
		t.away = time.Time{} // no other worker would fare better
	} else if t.away.IsZero() {
		t.away = time.Now()
	}
	t.trouble(zkpaths.StateStarting, trouble)
}
