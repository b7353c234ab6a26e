package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"binkeeper/internal/gtid"
)

// A Hint is what a checkpoint says of the archive: the last segment that it
// covers. End.Hint makes one.
type Hint struct {
	Timeline     int64
	File         string
	SegmentStart int64  // the segment's name
	Position     int64  // where it ends; 0: no segment
	GTIDSet      string // complete up to there
	// GTIDSetOmitted says that GTIDSet was too long for the checkpoint. The walk
	// then begins at the file's first segment, whose previous GTIDs have it whole, or
	// with the timeline if the base name of its files has changed.
	GTIDSetOmitted bool
}

// Walk finds the end of the newest timeline's chain, reading metadata only. It
// begins at the hinted segment, or its file's first, or with the timeline when there is no hint or
// the hint does not fit. The end is before the first hole.
//
// It returns ErrNoTimeline for an empty archive, *BehindError when the archive
// ends before the hint, and *BrokenError or *NewerFormatError for an object on
// the chain that cannot be followed.
func (a *Archive) Walk(ctx context.Context, hint *Hint) (End, error) {
	timelines, err := a.Timelines(ctx)
	if err != nil {
		return End{}, err
	}
	if len(timelines) == 0 {
		if hint != nil && hint.Timeline > 0 {
			return End{}, &BehindError{Checkpoint: *hint}
		}
		return End{}, fmt.Errorf("walk %s: %w", a.task, ErrNoTimeline)
	}
	start, err := a.walkStart(ctx, timelines[len(timelines)-1], hint)
	if err != nil {
		return End{}, err
	}
	c := a.newChain(start)
	c.walking = true
	if start.HasLast {
		c.entered[start.Last.File] = true // the hint fitted
	}
	for err == nil {
		_, err = c.next(ctx)
	}
	if hole := (*HoleError)(nil); err != io.EOF && !errors.As(err, &hole) {
		return End{}, err
	}
	if hint != nil && c.isBefore(*hint) {
		return End{}, &BehindError{Checkpoint: *hint, End: c.end}
	}
	return c.end, nil
}

// Sync makes durable what a Walk to end relied on, before a checkpoint says that it
// is archived: whose archive it is, the timeline, and the last segment. Their
// writers may not have come to it. What precedes them was durable before they were
// written. It returns *ConflictError when something has gone since the Walk.
func (a *Archive) Sync(ctx context.Context, end End) error {
	adoptions, err := a.adoptions(ctx)
	if err != nil {
		return err
	}
	owner := int64(1)
	if len(adoptions) > 0 {
		owner = adoptions[len(adoptions)-1]
	}
	names := []string{a.ownerObject(owner)}
	if end.Timeline > 0 {
		names = append(names, a.timelineObject(end.Timeline))
	}
	if end.HasLast {
		names = append(names, a.SegmentName(end.Timeline, end.Last.File, end.Last.Start))
	}
	err = a.store.Sync(ctx, names...)
	if errors.Is(err, ErrNotExist) {
		return &ConflictError{a.task, "has changed since its end was found: " + err.Error()}
	}
	return err
}

// walkStart returns the end of the hinted segment, that of its file's first segment
// when the GTID set is to be had there, or the timeline's beginning when the hint is
// of no use.
func (a *Archive) walkStart(ctx context.Context, tl Timeline, hint *Hint) (End, error) {
	beginning := tl.beginning()
	if hint == nil || hint.Timeline != tl.Timeline || hint.Position <= 0 || hint.SegmentStart < 0 || !ValidFile(hint.File) {
		return beginning, nil
	}
	set, err := gtid.Parse(tl.Flavor, hint.GTIDSet)
	if err != nil {
		return beginning, nil
	}
	start := hint.SegmentStart
	if hint.GTIDSetOmitted {
		if whole, err := a.keptBase(ctx, tl.Timeline, hint.File); !whole || err != nil {
			return beginning, err
		}
		start = 0
	}
	object := a.SegmentName(tl.Timeline, hint.File, start)
	m, _, err := ReadMeta(ctx, a.store, object)
	if broken := (*BrokenError)(nil); errors.Is(err, ErrNotExist) || errors.As(err, &broken) {
		return beginning, nil
	}
	if err != nil {
		return End{}, fmt.Errorf("read %s: %w", object, err)
	}
	switch {
	case m.Task != a.task || m.Timeline != tl.Timeline || m.File != hint.File || m.Start != start:
		return beginning, nil
	case hint.GTIDSetOmitted && m.PreviousGTIDSet == nil, !hint.GTIDSetOmitted && m.End != hint.Position:
		return beginning, nil
	}
	before := beginning
	before.File = hint.File
	end, err := before.advance(m)
	if err != nil {
		return beginning, nil
	}
	if !hint.GTIDSetOmitted {
		end.GTIDSet = set
	}
	return end, nil
}

// keptBase reports whether all files of a timeline have the base name of file. Where
// that has changed, MySQL's previous GTIDs lack what the files before have.
func (a *Archive) keptBase(ctx context.Context, timeline int64, file string) (bool, error) {
	dir := a.timelineDir(timeline)
	for entry, err := range a.store.List(ctx, dir, "") {
		if err != nil {
			return false, fmt.Errorf("list %s: %w", dir, err)
		}
		if entry.Dir && ValidFile(entry.Name) && FileBase(entry.Name) != FileBase(file) {
			return false, nil
		}
	}
	return true, nil
}

// isBefore reports whether the chain ends before what the hint covers.
func (c *chain) isBefore(h Hint) bool {
	switch {
	case c.end.Timeline != h.Timeline:
		return c.end.Timeline < h.Timeline
	case h.File == "" || h.Position == 0:
		return false
	case c.end.File == h.File:
		return c.end.Offset < h.Position
	case c.entered[h.File]:
		return false
	}
	return !FileBefore(h.File, c.first)
}
