package dump

import (
	"context"
	"errors"
	"time"

	"binkeeper/archive"
)

// watch looks for what an open dump is not told of, and ends it. It asks the source's
// address, on a side connection, who answers and how far its binlog has come: another
// server, or a binlog shorter than the archive, as after a RESET. And it looks whose the
// archive is: who has taken it over may lose every race for the next segment.
func (d *Dump) watch(ctx context.Context, arch *archive.Archive) error {
	tick := time.NewTicker(d.cfg.Bounds.Address)
	defer tick.Stop()
	var said string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		owner, err := arch.Owner(ctx)
		if err == nil {
			err = d.owns(owner)
		}
		if IsBlocked(err) {
			return err
		}
		err = errors.Join(err, d.lookBeside(ctx))
		if errors.Is(err, errOtherServer) || errors.Is(err, errShorter) {
			return err
		}
		if err != nil && err.Error() != said && ctx.Err() == nil {
			// The dump goes on: what is wrong with it, it finds out itself.
			said = err.Error()
			d.cfg.Logger.Warn().Err(err).Msg("cannot look whose the archive is, or ask who answers at the source's address")
		}
	}
}

func (d *Dump) lookBeside(ctx context.Context) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	file, offset := d.progress.end() // before the source's, which cannot be behind it
	server, files, err := look(ctx, conn)
	if err != nil {
		return err
	}
	if !server.Identity().Same(d.server.Identity()) {
		return errOtherServer
	}
	if shorter(files, file, offset) {
		return errShorter
	}
	d.progress.sawFiles(files)
	return nil
}
