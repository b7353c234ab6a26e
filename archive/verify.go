package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// A Report is what Verify found.
type Report struct {
	Format   int       `json:"format"`
	OK       bool      `json:"ok"`
	Files    int64     `json:"files"` // with at least one byte
	Bytes    int64     `json:"bytes"` // raw, read and right
	Problems []Problem `json:"problems"`
}

// A Problem is one object that is not as it should be.
type Problem struct {
	Object  string `json:"object"`
	Offset  int64  `json:"offset"` // in the binlog file
	Problem string `json:"problem"`

	err error
}

// Err returns nil for an archive that is all right, and otherwise its first
// problem: a *MismatchError or *NewerFormatError if there is one, else a
// *HoleError or *BehindError.
func (r Report) Err() error {
	var first error
	for _, p := range r.Problems {
		hole, behind := (*HoleError)(nil), (*BehindError)(nil)
		if !errors.As(p.err, &hole) && !errors.As(p.err, &behind) {
			return p.err
		}
		if first == nil {
			first = p.err
		}
	}
	return first
}

// Verify reads the whole archive and checks every byte of it against the hashes,
// every chain, and that nothing else lies where the commands that put files
// together without Binkeeper would take it for a segment. What is appended meanwhile may be
// left out.
//
// What an archive has lost at its end it cannot know: only a checkpoint, which is to be
// read before, tells. Without one, nil, an archive that ends earlier is all right.
//
// It returns an error only when the archive cannot be read; problems are in the
// report.
func (a *Archive) Verify(ctx context.Context, checkpoint *Hint) (Report, error) {
	if checkpoint == nil {
		checkpoint = &Hint{}
	}
	v := &verifier{archive: a, checkpoint: *checkpoint, segment: newSegmentReader(), buffer: make([]byte, readAhead)}
	defer v.segment.close()
	v.report = Report{Format: Format, Problems: []Problem{}}
	err := v.archived(ctx)
	v.report.OK = err == nil && len(v.report.Problems) == 0
	return v.report, err
}

// A verifier is one run of Verify.
type verifier struct {
	archive    *Archive
	checkpoint Hint // zero: none
	report     Report
	segment    *segmentReader
	buffer     []byte
	overlap    overlapHashes
}

func (v *verifier) archived(ctx context.Context) error {
	timelines, err := v.archive.timelines(ctx, All)
	if errors.Is(err, ErrNoTimeline) && v.checkpoint.Timeline > 0 {
		err = &BehindError{Checkpoint: v.checkpoint}
	}
	if err != nil {
		return v.found(err, 0)
	}
	if err := v.owners(ctx); err != nil {
		return err
	}
	var previous End
	for _, tl := range timelines {
		if err := v.succession(previous, tl); err != nil {
			return err
		}
		if previous, err = v.timeline(ctx, tl); err != nil {
			return err
		}
	}
	if previous.Timeline < v.checkpoint.Timeline {
		return v.found(&BehindError{v.checkpoint, previous}, 0)
	}
	return nil
}

// found adds err to the report, or returns it when it is no problem of what is
// stored.
func (v *verifier) found(err error, offset int64) error {
	err = asMismatch(err, offset)
	p := Problem{Offset: offset, err: err}
	mismatch, hole, newer := (*MismatchError)(nil), (*HoleError)(nil), (*NewerFormatError)(nil)
	behind := (*BehindError)(nil)
	switch {
	case errors.As(err, &mismatch):
		p.Object, p.Offset, p.Problem = mismatch.Object, mismatch.Offset, mismatch.Problem
	case errors.As(err, &hole):
		p.Object, p.Problem = hole.Object, "is missing, although "+hole.Behind+" stands behind it"
	case errors.As(err, &newer):
		p.Object, p.Problem = newer.Object, fmt.Sprintf("has format %d, newer than %d", newer.Format, Format)
	case errors.As(err, &behind):
		p.Object, p.Offset = v.lost(behind)
		p.Problem = fmt.Sprintf("is missing: by the checkpoint, timeline %d is archived up to %s:%d",
			behind.Checkpoint.Timeline, behind.Checkpoint.File, behind.Checkpoint.Position)
	default:
		return err
	}
	v.report.Problems = append(v.report.Problems, p)
	return nil
}

// lost is the first object that is missing of what a checkpoint covers, and its offset.
func (v *verifier) lost(e *BehindError) (object string, offset int64) {
	if e.End.Timeline < e.Checkpoint.Timeline {
		return v.archive.timelineObject(e.End.Timeline + 1), 0
	}
	return v.archive.SegmentName(e.End.Timeline, e.End.File, e.End.Offset), e.End.Offset
}

// owners checks that task.json is there, and that every owner is readable.
func (v *verifier) owners(ctx context.Context) error {
	numbers, err := v.archive.adoptions(ctx)
	if err != nil {
		return err
	}
	for _, n := range append([]int64{1}, numbers...) {
		_, err := v.archive.owner(ctx, n)
		if errors.Is(err, ErrNotExist) && n == 1 {
			err = &HoleError{Object: v.archive.ownerObject(1), Behind: v.archive.timelineObject(1)}
		}
		if errors.Is(err, ErrNotExist) {
			continue // disowned since it was listed
		}
		if err := v.found(err, 0); err != nil {
			return err
		}
	}
	return nil
}

// succession checks that a timeline begins where the one before it was closed.
func (v *verifier) succession(previous End, tl Timeline) error {
	object, p := v.archive.timelineObject(tl.Timeline), tl.Previous
	switch {
	case tl.Timeline != previous.Timeline+1:
		return v.found(&HoleError{Object: v.archive.timelineObject(previous.Timeline + 1), Behind: object}, 0)
	case tl.Timeline == 1 && p == nil, !previous.Closed && tl.Timeline > 1:
		return nil // an end that was not come to is a problem already
	case p == nil || p.Timeline != previous.Timeline || p.File != previous.File || p.Position != previous.Offset:
		return v.found(&MismatchError{Object: object, Problem: fmt.Sprintf("does not follow %s", previous)}, 0)
	}
	return nil
}

// timeline checks one timeline and returns where it ends.
func (v *verifier) timeline(ctx context.Context, tl Timeline) (End, error) {
	c := v.archive.newChain(tl.beginning())
	var err error
	for err == nil {
		err = v.file(ctx, c)
	}
	if err != io.EOF {
		return c.end, v.found(err, c.end.Offset)
	}
	if tl.Timeline == v.checkpoint.Timeline && c.isBefore(v.checkpoint) {
		return c.end, v.found(&BehindError{v.checkpoint, c.end}, 0)
	}
	if !c.end.Closed {
		return c.end, nil
	}
	stray, err := c.segmentBehind(ctx)
	if stray != "" {
		err = v.stray(stray)
	}
	return c.end, err
}

// file checks the file in which the chain stands, and returns follow's error.
func (v *verifier) file(ctx context.Context, c *chain) error {
	file := c.end.File
	dir := v.archive.fileDir(c.end.Timeline, file)
	strays := map[string]bool{}
	for entry, err := range v.archive.store.List(ctx, dir, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", dir, err)
		}
		strays[entry.Name] = isSegmentBase(entry.Name)
	}
	v.overlap.restart(c.end.Offset)
	hasBytes := false
	followed := c.follow(ctx, func(l link) error {
		hasBytes = hasBytes || !l.meta.Empty()
		delete(strays, segmentBase(l.meta.Start))
		return v.found(v.check(ctx, l), l.meta.Start)
	})
	if hasBytes {
		v.report.Files++
	}
	for _, name := range slices.Sorted(maps.Keys(strays)) {
		notReached := c.end.File == file && name >= segmentBase(c.end.Offset)
		if strays[name] && !notReached {
			v.stray(path.Join(dir, name))
		}
	}
	return followed
}

// stray reports an object that the chain went past.
func (v *verifier) stray(object string) error {
	return v.found(&MismatchError{Object: object, Problem: "is not on the chain"}, 0)
}

// check reads one segment.
func (v *verifier) check(ctx context.Context, l link) error {
	if err := v.segment.open(ctx, v.archive.store, l); err != nil {
		return err
	}
	defer v.segment.release()
	problem := v.overlap.begin(l.meta)
	for {
		n, err := v.segment.Read(v.buffer)
		if err == io.EOF {
			break
		}
		if err != nil {
			v.overlap.restart(l.meta.End)
			return err
		}
		v.overlap.add(v.buffer[:n])
	}
	v.report.Bytes += l.meta.End - l.meta.Start
	if problem == "" {
		problem = v.overlap.problem(l.meta)
	}
	if problem != "" {
		return &MismatchError{l.object, l.meta.Start, problem}
	}
	return nil
}
