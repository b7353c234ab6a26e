package dump

import (
	"context"
	"errors"
	"time"

	"binkeeper/archive"
	"binkeeper/zkpaths"
)

// findEnd opens the archive, walks to its chain's end and makes that durable: what
// can be read may be lost in a crash yet. The commit of that end is the barrier: it
// proves that this is still the primary's term, and raises the term above every one in
// the archive.
func (d *Dump) findEnd(ctx context.Context) (*archive.Archive, facts, error) {
	s := facts{Spec: d.cfg.Spec, Last: d.cfg.Term.Last(), Found: d.cfg.Before.Found, Torn: d.cfg.Before.Torn}
	store, err := d.cfg.OpenStore(d.cfg.Spec.Archive)
	if refused := (*archive.StoreError)(nil); err != nil && !errors.As(err, &refused) {
		return nil, s, BlockedBySpec(d.cfg.Task, err) // no store was asked: the URL names none
	}
	if err != nil {
		return nil, s, err
	}
	arch := archive.New(store, d.cfg.Task)
	if err := d.checkOwner(ctx, arch, s.Last); err != nil {
		return nil, s, err
	}
	if s.End, err = d.walk(ctx, arch, s.Last); err != nil {
		return nil, s, err
	}
	if s.End.Timeline > 0 {
		timelines, err := arch.Timelines(ctx)
		if err != nil {
			return nil, s, err
		}
		s.Timeline = timelines[len(timelines)-1]
		d.cfg.Observer.SawTimelines(timelines)
	}
	if err := arch.Sync(ctx, s.End); err != nil {
		return nil, s, err
	}
	next := CheckpointAt(s.End)
	if s.End.Timeline == 0 {
		next = s.Last // how far an archive that is lost had come, until a first timeline has it
	}
	if s.End.Term > d.cfg.Term.Number() || s.End.Term == d.cfg.Term.Number() && !d.walked {
		next.Term = s.End.Term + 1
	}
	if err := d.cfg.Term.Commit(ctx, next); err != nil {
		return nil, s, err
	}
	d.walked = true
	s.Last = next
	return arch, s, nil
}

// walk finds the chain's end, which is not before the checkpoint unless the
// operator says so. A store may be slow to show what it holds: only a second look,
// some seconds later, is believed.
func (d *Dump) walk(ctx context.Context, arch *archive.Archive, last zkpaths.LastCommit) (archive.End, error) {
	hint := hintAt(last)
	end, err := arch.Walk(ctx, hint)
	if behind := (*archive.BehindError)(nil); errors.As(err, &behind) {
		if err := d.awaitSecondLook(ctx); err != nil {
			return end, err
		}
		end, err = arch.Walk(ctx, hint)
	}
	if behind := (*archive.BehindError)(nil); errors.As(err, &behind) {
		if !acceptedArchive(d.cfg.Spec, last) {
			return end, blockedBehind(err)
		}
		end, err = arch.Walk(ctx, nil)
	}
	if errors.Is(err, archive.ErrNoTimeline) {
		return archive.End{}, nil
	}
	return end, err
}

func (d *Dump) awaitSecondLook(ctx context.Context) error {
	select {
	case <-time.After(d.cfg.Bounds.SecondLook):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acceptedArchive reports whether the operator wants to go on from the archive's end,
// which is before the checkpoint. No server has been asked by then.
func acceptedArchive(spec zkpaths.Spec, last zkpaths.LastCommit) bool {
	return spec.Accept.Answers(zkpaths.AcceptArchive, zkpaths.BlockedArchiveBehind, "", last)
}

func blockedBehind(err error) error {
	return Blocked(zkpaths.BlockedArchiveBehind, err,
		"mend the store (is it the shared folder, mounted, the right URL?); or go on from what is there: binkeeper task resume ID --accept-archive")
}

// CheckpointAt is the checkpoint of a chain's end.
func CheckpointAt(end archive.End) zkpaths.LastCommit {
	c := zkpaths.LastCommit{Timeline: end.Timeline, File: end.File, Position: end.Offset}
	if end.GTIDSet != nil {
		c.SetGTIDSet(end.GTIDSet.String())
	}
	if end.HasLast {
		c.SegmentFile, c.SegmentStart, c.SegmentEnd = end.Last.File, end.Last.Start, end.Last.End
		if t := end.Last.LastEventTime; t != nil {
			c.EventTime = zkpaths.At(*t)
		}
	}
	return c
}

// hintAt is where a walk that knows a checkpoint begins, nil at the beginning.
func hintAt(c zkpaths.LastCommit) *archive.Hint {
	switch {
	case c.Timeline == 0:
		return nil
	case c.SegmentFile == "":
		return &archive.Hint{Timeline: c.Timeline, File: c.File, SegmentStart: -1, Position: c.Position}
	}
	return &archive.Hint{
		Timeline: c.Timeline, File: c.SegmentFile, SegmentStart: c.SegmentStart, Position: c.SegmentEnd,
		GTIDSet: c.GTIDSet, GTIDSetOmitted: c.GTIDOmitted,
	}
}
