package worker

import (
	"context"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// beginDump begins an attempt to archive. What is being retried is no wedge.
func (t *term) beginDump(ctx context.Context) {
	t.handOn, t.watchdog = false, watchdog{}
	progress := dump.NewProgress()
	t.m.meter.begin(progress)
	w := t.m.w
	t.dump = dump.Start(ctx, dump.Config{
		Task: t.m.task, Spec: t.m.spec.Spec, ServerID: w.cfg.ServerID, Before: t.attempts.before(t.status.File),
		Term: fencedTerm{t.t, t}, Observer: t.observer, Progress: progress,
		OpenStore:       func(url string) (archive.Store, error) { return t.m.openStore(url, progress.Step) },
		ResolvePassword: w.cfg.ResolvePassword, Dial: w.cfg.DialSource, Compressor: w.compressor, Sweeping: w.sweeping,
		Bounds: dump.Bounds{Address: w.bounds.address, SecondLook: w.bounds.secondLook}, Logger: t.log,
	})
	if t.attempts.begun++; t.attempts.begun > 1 {
		t.m.meter.reconnects.Add(1)
	}
}

// endDump ends the dump in good order: what has been read is archived and
// committed. It is false when the dump hangs, or ctx has ended first.
func (t *term) endDump(ctx context.Context) bool {
	if t.dump == nil {
		return true
	}
	t.dump.Stop()
	for {
		moved := t.dump.Progress().Moved()
		select {
		case <-t.dump.Done():
			t.ended()
			return true
		case <-ctx.Done():
			return false
		case <-time.After(t.m.w.bounds.wedge):
			if t.dump.Progress().Moved() == moved {
				return false
			}
		}
	}
}

// drop ends the dump at once, and waits until nothing of it runs any more.
func (t *term) drop() {
	if t.dump != nil {
		t.dump.Abort()
		<-t.dump.Done()
		t.m.meter.end()
		t.dump = nil
	}
}

// works records that the dump is open: the source and the store are there.
func (t *term) works(ctx context.Context) {
	t.attempts = t.attempts.working()
	t.m.yieldAfter, t.status.Findings = t.m.w.bounds.unreachable, nil
	from := t.dump.From()
	t.log.Info().Str("file", from.File).Int64("position", from.Offset).Int64("timeline", from.Timeline).Msg("archiving")
	t.write(ctx, t.say(zkpaths.StateRunning, "", "", ""))
	t.markOwner(ctx)
	t.reports.Reset(t.untilReport())
}

// ended records how the dump has ended, and does what follows.
func (t *term) ended() {
	t.dump.Progress().Describe(&t.status)
	e, spec := t.dump.Ending(), t.dump.Spec()
	t.dump = nil
	t.m.meter.end()
	t.m.meter.ended(e)
	if e.Kind == dump.EndedByConflict {
		t.log.Warn().Err(e.Err).Msg("another writer has appended, or the archive was changed by other means; walking to the chain's end again")
	}
	var then consequence
	t.attempts, then = t.attempts.after(e, time.Now(), t.m.w.bounds.blockedLook)
	switch then {
	case sayTrouble:
		t.trouble(zkpaths.StateStarting, e)
	case sayBlock:
		if answered(spec, t.m.spec.Spec) {
			t.lookAgain() // with the answer, which came while this look was under way
			return
		}
		t.foundBlock(e)
	case leaveTerm:
		t.replaced = true
	case giveUpTask:
		t.broken = e.Err
	}
}

// A fencedTerm is the term as its dumps see it. Their commits are counted.
type fencedTerm struct {
	*coord.Term
	t *term
}

func (f fencedTerm) Commit(ctx context.Context, next zkpaths.LastCommit) error {
	err := f.Term.Commit(ctx, next)
	f.t.m.meter.committed(err)
	return err
}

func (f fencedTerm) Changed() <-chan struct{} { return f.t.m.sess.Changed() }

// An observer is told what a term's dumps come across. Only one of them runs at a time.
type observer struct {
	t      *term
	warned map[string]bool // in this term
}

func (o observer) SawTimelines(timelines []archive.Timeline) { o.t.m.meter.sawTimelines(timelines) }
func (o observer) BeganTimeline(timeline archive.Timeline)   { o.t.m.meter.began(timeline) }

// Warn logs each warning once in a term.
func (o observer) Warn(warnings []string) {
	for _, w := range warnings {
		if !o.warned[w] {
			o.warned[w] = true
			o.t.log.Warn().Msg(w)
		}
	}
}
