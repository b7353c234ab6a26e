package dump

import (
	"context"

	"binkeeper/archive"
	"binkeeper/internal/failure"
)

// sweep removes, once in a term, what writers that died have left in the archive. It
// reads every folder of it, so a worker does it for one task at a time.
func (d *Dump) sweep(ctx context.Context, arch *archive.Archive) {
	if d.swept {
		return
	}
	select {
	case d.cfg.Sweeping <- struct{}{}:
		defer func() { <-d.cfg.Sweeping }()
	case <-ctx.Done():
		return
	}
	removed, err := arch.Sweep(ctx)
	if removed > 0 {
		d.cfg.Logger.Info().Int("removed", removed).Msg("removed what dead writers had left in the archive")
	}
	if ctx.Err() != nil {
		return
	}
	d.swept = true
	if err != nil {
		d.cfg.Logger.Warn().Err(err).Str("hint", failure.Hint(err)).Msg("cannot remove what dead writers have left in the archive")
	}
}
