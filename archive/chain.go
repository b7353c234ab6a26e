package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// End is where a timeline's chain ends and the next byte goes: after a segment
// that ends its file, byte 0 of the next one; in a timeline without segments,
// byte 0 of its first file. It is a value; nothing changes one once it is made.
type End struct {
	Timeline int64
	File     string
	Offset   int64
	Closed   bool      // the timeline takes no more
	Last     Meta      // the last segment, if HasLast
	HasLast  bool      // whether the timeline has a segment
	GTIDSet  *gtid.Set // complete up to here; not to be changed
	Term     int64     // the highest that was met on the way
}

// String names the end: its timeline, file and offset.
func (e End) String() string {
	if e.Timeline == 0 {
		return "nothing"
	}
	return fmt.Sprintf("timeline %d, %s:%d", e.Timeline, e.File, e.Offset)
}

// beginning is the end of a timeline without segments.
func (tl Timeline) beginning() End {
	return End{Timeline: tl.Timeline, File: tl.FirstFile, GTIDSet: gtid.New(tl.Flavor), Term: tl.Term}
}

// Previous returns e as the next timeline records it.
func (e End) Previous() *Previous {
	return &Previous{Timeline: e.Timeline, File: e.File, Position: e.Offset, GTIDSet: e.GTIDSet.String()}
}

// Hint returns what a checkpoint must keep for a later Walk to begin at e's last
// segment, or nil when there is none.
func (e End) Hint() *Hint {
	if !e.HasLast {
		return nil
	}
	return &Hint{Timeline: e.Timeline, File: e.Last.File, SegmentStart: e.Last.Start, Position: e.Last.End, GTIDSet: e.GTIDSet.String()}
}

// Resume returns where a dump must begin to go on from e. As long as nothing of
// the next file is archived, that is in the file before it.
func (e End) Resume() binlog.Start {
	if !e.HasLast {
		return binlog.Start{File: e.File}
	}
	return binlog.Start{File: e.Last.File, Overlap: &binlog.Overlap{
		From: e.Last.OverlapStart, To: e.Last.End, Hash: e.Last.OverlapHash,
		Open: e.Last.OpenTransaction, NextFile: e.Last.NextFile,
	}}
}

// chainHash is the chain hash at e, "" at the start of a file.
func (e End) chainHash() string {
	if e.Offset == 0 {
		return ""
	}
	return e.Last.ChainHash
}

// misfit says why m cannot be the segment at e, or "".
func (e End) misfit(task string, m Meta) string {
	switch {
	case m.Task != task || m.Timeline != e.Timeline || m.File != e.File:
		return fmt.Sprintf("is of task %q, timeline %d, file %s", m.Task, m.Timeline, m.File)
	case m.Start != e.Offset:
		return fmt.Sprintf("starts at %d", m.Start)
	case m.ChainHash != chainHash(e.chainHash(), m.BytesHash):
		return "has a chain hash that does not fit what is before it"
	}
	return ""
}

// advance returns the end after m, which fits at e.
func (e End) advance(m Meta) (End, error) {
	set := e.GTIDSet
	if m.PreviousGTIDSet != nil {
		previous, err := gtid.Parse(e.GTIDSet.Flavor(), *m.PreviousGTIDSet)
		if err != nil {
			return e, fmt.Errorf("previous_gtid_set: %w", err)
		}
		if previous.Flavor() == gtid.MySQL {
			previous.Union(set) // after a change of log_bin, MySQL forgets there what the old files have
		}
		set = previous
	}
	if m.GTIDSet != "" {
		completed, err := gtid.Parse(e.GTIDSet.Flavor(), m.GTIDSet)
		if err != nil {
			return e, fmt.Errorf("gtid_set: %w", err)
		}
		set = set.Clone()
		set.Union(completed)
	}
	e.GTIDSet = set
	e.Last, e.HasLast = m, true
	e.Offset, e.Closed, e.Term = m.End, m.ClosesTimeline, max(e.Term, m.Term)
	if m.EndsFile {
		e.File, e.Offset = m.NextFile, 0
	}
	return e, nil
}

// A link is one segment on a chain.
type link struct {
	object string
	frames int64 // where the zstd frames begin in the object
	meta   Meta
}

// A chain follows the segments of one timeline.
type chain struct {
	archive *Archive
	end     End
	first   string          // the file it was entered in
	entered map[string]bool // the files it came to
	earlier map[string]bool // those before first, once that was asked
	walking bool            // see before
}

func (a *Archive) newChain(end End) *chain {
	return &chain{archive: a, end: end, first: end.File, entered: map[string]bool{end.File: true}}
}

// next follows one more segment. It returns io.EOF where the timeline is closed
// and where nothing more is written, *HoleError where something is missing, and
// *BrokenError or *NewerFormatError for what is not a segment of this chain.
func (c *chain) next(ctx context.Context) (link, error) {
	if c.end.Closed {
		return link{}, io.EOF
	}
	l, err := c.read(ctx)
	if errors.Is(err, ErrNotExist) {
		l, err = c.lookAgain(ctx)
	}
	if err != nil {
		return link{}, err
	}
	if problem := c.end.misfit(c.archive.task, l.meta); problem != "" {
		return link{}, &BrokenError{l.object, problem}
	}
	end, err := c.end.advance(l.meta)
	if err != nil {
		return link{}, &BrokenError{l.object, err.Error()}
	}
	if l.meta.EndsFile {
		if c.entered[end.File] {
			return link{}, &BrokenError{l.object, "names a next file that comes before it"}
		}
		c.entered[end.File] = true
	}
	c.end = end
	return l, nil
}

// object is the name of the segment that comes next.
func (c *chain) object() string {
	return c.archive.SegmentName(c.end.Timeline, c.end.File, c.end.Offset)
}

// read looks for the segment that comes next.
func (c *chain) read(ctx context.Context) (link, error) {
	object := c.object()
	meta, frames, err := ReadMeta(ctx, c.archive.store, object)
	if err != nil {
		return link{}, fmt.Errorf("read %s: %w", object, err)
	}
	return link{object, frames, meta}, nil
}

// lookAgain decides whether the segment that read missed is lost or not written
// yet. What stands behind it was published after it, so if anything does and the
// segment is still not there, it is lost.
func (c *chain) lookAgain(ctx context.Context) (link, error) {
	behind, err := c.segmentBehind(ctx)
	if behind == "" && err == nil {
		behind, err = c.archive.successor(ctx, c.end.Timeline)
	}
	if err != nil {
		return link{}, err
	}
	if behind == "" {
		return link{}, io.EOF
	}
	l, err := c.read(ctx)
	if errors.Is(err, ErrNotExist) {
		return link{}, &HoleError{Object: c.object(), Behind: behind}
	}
	return l, err
}

// segmentBehind returns a segment of the timeline that stands behind the chain's
// end, or "".
func (c *chain) segmentBehind(ctx context.Context) (string, error) {
	a, n := c.archive, c.end.Timeline
	object, err := a.firstSegment(ctx, n, c.end.File, segmentBase(c.end.Offset))
	if object != "" || err != nil {
		return object, err
	}
	dir := a.timelineDir(n)
	for entry, err := range a.store.List(ctx, dir, "") {
		if err != nil {
			return "", fmt.Errorf("list %s: %w", dir, err)
		}
		if !entry.Dir || !ValidFile(entry.Name) || c.entered[entry.Name] {
			continue
		}
		before, err := c.before(ctx, entry.Name)
		if err == nil && !before {
			object, err = a.firstSegment(ctx, n, entry.Name, "")
		}
		if object != "" || err != nil {
			return object, err
		}
	}
	return "", nil
}

// before reports whether a file comes before the one that the chain was entered in.
// Names with another base name have no order: there the timeline's files are followed
// from the first one. A walk does without: to it, a hole is an end like any other.
func (c *chain) before(ctx context.Context, name string) (bool, error) {
	if FileBase(name) == FileBase(c.first) || c.walking {
		return FileBefore(name, c.first), nil
	}
	if c.earlier == nil {
		tl, err := c.archive.timeline(ctx, c.end.Timeline)
		if err != nil {
			return false, err
		}
		earlier := map[string]bool{}
		for file := tl.FirstFile; file != "" && file != c.first && !earlier[file]; {
			earlier[file] = true
			if file, err = c.archive.nextFile(ctx, c.end.Timeline, file); err != nil {
				return false, err
			}
		}
		c.earlier = earlier
	}
	return c.earlier[name], nil
}

// nextFile returns the file that follows another by the word of its last segment, or "".
func (a *Archive) nextFile(ctx context.Context, timeline int64, file string) (string, error) {
	dir, last := a.fileDir(timeline, file), ""
	for entry, err := range a.store.List(ctx, dir, "") {
		if err != nil {
			return "", fmt.Errorf("list %s: %w", dir, err)
		}
		if !entry.Dir && isSegmentBase(entry.Name) {
			last = dir + "/" + entry.Name
		}
	}
	if last == "" {
		return "", nil
	}
	m, _, err := ReadMeta(ctx, a.store, last)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", last, err)
	}
	return m.NextFile, nil
}

// successor returns the object that begins the timeline after n, or "".
func (a *Archive) successor(ctx context.Context, n int64) (string, error) {
	_, err := a.timeline(ctx, n+1)
	if errors.Is(err, ErrNotExist) {
		return "", nil
	}
	return a.timelineObject(n + 1), err
}

// firstSegment returns the first segment of a file that sorts after a name, or "".
func (a *Archive) firstSegment(ctx context.Context, timeline int64, file, after string) (string, error) {
	dir := a.fileDir(timeline, file)
	for entry, err := range a.store.List(ctx, dir, after) {
		if err != nil {
			return "", fmt.Errorf("list %s: %w", dir, err)
		}
		if !entry.Dir && isSegmentBase(entry.Name) {
			return dir + "/" + entry.Name, nil
		}
	}
	return "", nil
}
