package worker

import (
	"context"
	"errors"

	"binkeeper/internal/coord"
	"binkeeper/internal/failure"
)

// markOwner writes into the spec, once a dump has proven to work, that the archive has
// its task.json. What an operator writes at the same time comes first: then the next
// report tries again.
func (t *term) markOwner(ctx context.Context) {
	view := t.m.spec
	if view.Spec.Owner || view.Gone || t.marked || t.dump == nil || !t.dump.Progress().IsOpen() || t.dump.Stale(view.Spec) {
		return
	}
	view.Spec.Owner = true
	err := t.bounded(ctx, func(ctx context.Context) error { return t.t.SetSpec(ctx, view.Spec, view.Version) })
	switch {
	case errors.Is(err, coord.ErrFenced):
		t.replaced = true
	case err != nil && !errors.Is(err, coord.ErrDisconnected) && !errors.Is(err, coord.ErrSpecChanged):
		t.marked = true // or it would be tried for ever
		t.log.Warn().Err(err).Str("hint", failure.Hint(err)).Msg("cannot note in the spec that the archive has its task.json; a worker that misses it may make another one")
	}
}
