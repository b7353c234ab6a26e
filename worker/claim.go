package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// claim makes this member the task's primary, and returns the status that says so.
// When it cannot, because of what it finds, that is said in the task's status.
func (m *member) claim(ctx context.Context) (*coord.Term, zkpaths.Status, error) {
	if err := m.inst.MarkStopped(ctx, m.line); err != nil {
		return nil, zkpaths.Status{}, err
	}
	status, err := m.inst.Status(ctx)
	if newer := (*zkpaths.NewerFormatError)(nil); errors.As(err, &newer) {
		return nil, status, m.stepAside(ctx, newer)
	}
	if err != nil {
		status = zkpaths.NewStatus(time.Now()) // what is unreadable is overwritten
	}
	base, version, err := m.checkpoint(ctx, status.File)
	if block := (*dump.BlockedError)(nil); errors.As(err, &block) {
		return nil, status, m.refuse(ctx, status, block)
	}
	if err != nil {
		return nil, status, err
	}
	base.Term = max(base.Term, status.Term) // a checkpoint that was lost takes no term back
	status = claimed(status, m.inst.Place(), m.line, base.Term+1, time.Now())
	t, err := m.inst.Claim(ctx, base, version, status)
	return t, status, err
}

// checkpoint reads lastCommit. What is missing or unreadable is rebuilt from the
// archive; what a newer version wrote is left alone. known is the file that the
// archive has come to as far as the status knows, or "".
func (m *member) checkpoint(ctx context.Context, known string) (base zkpaths.LastCommit, version int32, err error) {
	if err := m.spec.Err; err != nil {
		return base, 0, dump.BlockedBySpec(m.task, err)
	}
	base, version, err = m.inst.LastCommit(ctx)
	unreadable, newer := (*zkpaths.UnreadableError)(nil), (*zkpaths.NewerFormatError)(nil)
	switch {
	case errors.As(err, &newer):
		return base, version, dump.Blocked(zkpaths.BlockedNewerFormat, err, newer.Hint())
	case errors.As(err, &unreadable), errors.Is(err, coord.ErrNoCheckpoint):
		m.log.Warn().Err(err).Msg("rebuilding the checkpoint from the archive")
		rebuilt, rebuildErr := m.rebuild(ctx, known)
		if rebuildErr != nil {
			return base, version, dump.Blocked(zkpaths.BlockedNoPosition, fmt.Errorf("%w; and the archive gives no position: %w", err, rebuildErr),
				"mend the archive, or write the last good JSON back to "+zkpaths.Checkpoint(m.task))
		}
		return rebuilt, version, nil
	}
	return base, version, err
}

// rebuild makes a checkpoint of the archive's end.
func (m *member) rebuild(ctx context.Context, known string) (zkpaths.LastCommit, error) {
	store, err := m.openStore(m.spec.Spec.Archive, func() {})
	if err != nil {
		return zkpaths.LastCommit{}, err
	}
	arch := archive.New(store, m.task)
	end, err := arch.Walk(ctx, nil)
	if errors.Is(err, archive.ErrNoTimeline) && known == "" {
		// An empty archive that is this task's has nothing to lose.
		if owner, ownerErr := arch.Owner(ctx); ownerErr == nil && owner.TaskUID == m.spec.Spec.TaskUID {
			return zkpaths.LastCommit{}, nil
		}
	}
	if err != nil {
		return zkpaths.LastCommit{}, err
	}
	if err := arch.Sync(ctx, end); err != nil {
		return zkpaths.LastCommit{}, err
	}
	c := dump.CheckpointAt(end)
	c.Term = end.Term
	return c, nil
}
