package dump

import (
	"context"
	"errors"
	"time"

	"binkeeper/internal/backoff"
	"binkeeper/internal/coord"
	"binkeeper/internal/failure"
)

// checkpoint commits what is stored, one commit at a time and at most one in a
// checkpoint interval. While ZooKeeper is away it waits, and while ZooKeeper
// refuses commits it tries again with growing pauses: the archive goes on growing,
// and is the truth.
func (p *pipeline) checkpoint(ctx context.Context) error {
	refused := 0 // commits in a row
	for {
		select {
		case <-p.news:
		case <-p.stored:
			return p.lastCheckpoint(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		changed := p.d.cfg.Term.Changed()
		err := p.commit(ctx)
		pause := time.After(time.Duration(p.d.cfg.Spec.CheckpointInterval))
		switch {
		case err == nil:
			changed, refused = nil, 0
		case errors.Is(err, coord.ErrDisconnected):
			p.again()
			pause = nil
		case errors.As(err, new(*coord.RefusedError)):
			p.again()
			if refused++; refused == 1 {
				p.d.cfg.Logger.Warn().Err(err).Str("hint", failure.Hint(err)).Msg("no checkpoint now; the archive goes on growing")
			}
			pause = time.After(max(time.Duration(p.d.cfg.Spec.CheckpointInterval), backoff.Delay(refused)))
		default:
			return err
		}
		select {
		case <-pause:
		case <-changed:
		case <-p.stored:
		case <-ctx.Done():
		}
	}
}

// lastCheckpoint commits what the last commit did not cover. Without ZooKeeper, or
// where that refuses, it is left to the next primary's walk.
func (p *pipeline) lastCheckpoint(ctx context.Context) error {
	select {
	case <-p.news:
	default:
		return nil
	}
	err := p.commit(ctx)
	if errors.Is(err, coord.ErrDisconnected) || errors.As(err, new(*coord.RefusedError)) {
		return nil
	}
	return err
}

func (p *pipeline) again() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *pipeline) commit(ctx context.Context) error {
	p.mu.Lock()
	next := p.newest
	p.mu.Unlock()
	return p.d.cfg.Term.Commit(ctx, next)
}
