package worker

import (
	"context"
	"errors"
	"time"

	"binkeeper/internal/coord"
)

// A watchdog tells a wedged dump from one that has nothing to do or is being
// retried. The session's pings go on in a process that is stuck, so nothing else
// would.
type watchdog struct {
	moved  int64
	since  time.Time // when moved was first seen as it is; zero: never looked
	wedged bool
}

// look is told how much has moved so far, and whether there is something to move.
// What does not move for bound is wedged.
func (w *watchdog) look(moved int64, waiting bool, now time.Time, bound time.Duration) {
	if w.since.IsZero() || moved != w.moved || !waiting {
		*w = watchdog{moved: moved, since: now}
		return
	}
	w.wedged = now.Sub(w.since) >= bound
}

// resign leaves the line without a word, because something hangs that cannot be
// waited for.
func (t *term) resign(ctx context.Context) error {
	t.m.meter.errors.add(reasonWedged)
	t.log.Error().Dur("for", t.m.w.bounds.wedge).Msg("no byte moves although there are some to move; leaving the line")
	for {
		changed := t.m.sess.Changed()
		err := t.bounded(ctx, t.t.Resign)
		if !errors.Is(err, coord.ErrDisconnected) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
	}
}
