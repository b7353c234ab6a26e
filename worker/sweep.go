package worker

import (
	"context"

	"binkeeper/archive"
)

// sweep removes, once in a term, what writers that died have left in the archive. It
// reads every folder of it, so a worker does it for one task at a time.
func (d *dump) sweep(ctx context.Context, arch *archive.Archive) {
	if d.t.swept {
		return
	}
	select {
	case d.t.m.w.sweeping <- struct{}{}:
		defer func() { <-d.t.m.w.sweeping }()
	case <-ctx.Done():
		return
	}
	removed, err := arch.Sweep(ctx)
	if removed > 0 {
		d.log.Info().Int("removed", removed).Msg("removed what dead writers had left in the archive")
	}
	if ctx.Err() != nil {
		return
	}
	d.t.swept = true
	if err != nil {
		d.log.Warn().Err(err).Str("hint", hintOf(err)).Msg("cannot remove what dead writers have left in the archive")
	}
}
