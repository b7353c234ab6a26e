package worker

import (
	"context"
	"errors"
	"regexp"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// trouble says what is wrong in the status, and in the log when it is news.
func (t *term) trouble(state string, e dump.Ending) {
	if t.status.State != state || withoutLocalEnds(t.status.Detail) != withoutLocalEnds(e.Detail) {
		t.log.Warn().Str("reason", e.Reason).Str("err", e.Detail).Str("hint", e.Hint).Msg("cannot archive now")
	}
	t.status, t.unsaid = t.say(state, e.Reason, e.Detail, e.Hint), true
}

// report writes the status as the dump stands, and asks the watchdog.
func (t *term) report(ctx context.Context) {
	if t.dump != nil {
		t.watchdog.look(t.dump.Progress().Moved(), t.dump.Progress().Waiting(), time.Now(), t.m.w.bounds.wedge)
	} else {
		t.watchdog = watchdog{}
	}
	t.write(ctx, t.say(t.status.State, t.status.Reason, t.status.Detail, t.status.Hint))
	t.markOwner(ctx)
	t.reports.Reset(t.untilReport())
}

// untilReport is when the next report is due: sooner while the dump catches up, when
// the figures are news.
func (t *term) untilReport() time.Duration {
	if t.dump != nil && !t.status.CaughtUp {
		return min(t.m.w.bounds.report, catchUpReport)
	}
	return t.m.w.bounds.report
}

// say returns the status with the dump's figures as they are now.
func (t *term) say(state, reason, detail, hint string) zkpaths.Status {
	s := t.status.Say(state, t.m.inst.Place(), t.t.Number(), time.Now(), reason, detail, hint)
	s.Reconnects = max(0, t.attempts.begun-1)
	if t.dump != nil {
		t.dump.Progress().Describe(&s)
	}
	t.m.meter.say(s)
	return s
}

// write sends the status to ZooKeeper. Where that cannot be reached it is sent
// again with the next one.
func (t *term) write(ctx context.Context, s zkpaths.Status) {
	err := t.bounded(ctx, func(ctx context.Context) error { return t.t.SetStatus(ctx, s) })
	t.status, t.unsaid = s, err != nil
	switch {
	case errors.Is(err, coord.ErrFenced):
		t.replaced = true
	case err != nil && !errors.Is(err, coord.ErrDisconnected):
		t.log.Warn().Err(err).Msg("status not written")
	}
}

// localEnd is the near end of a connection in the words of package net. Its port is
// another one at each try.
var localEnd = regexp.MustCompile(`\S+->`)

// withoutLocalEnds is what an error says that it says at each try.
func withoutLocalEnds(detail string) string { return localEnd.ReplaceAllString(detail, "") }
