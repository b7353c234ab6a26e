package archive

import (
	"context"
	"fmt"
	"io"
	"time"

	"binkeeper/internal/gtid"
)

// A File is what is archived of one binlog file.
type File struct {
	Timeline       int64      `json:"timeline"`
	File           string     `json:"file"`
	Start          int64      `json:"start"`
	End            int64      `json:"end"`
	StoredBytes    int64      `json:"stored_bytes"` // in the store, metadata included
	Segments       int64      `json:"segments"`
	Sealed         bool       `json:"sealed"`
	Complete       bool       `json:"complete"`         // its end is archived
	FirstEventTime *time.Time `json:"first_event_time"` // nil without events
	LastEventTime  *time.Time `json:"last_event_time"`
	GTIDSet        string     `json:"gtid_set"` // transactions completed in it
}

// Files returns the binlog files on the chain of a timeline, in order; which is a
// number, Newest or All. Files without bytes are left out. It reads metadata
// only. With any error it returns the files up to there, the last one perhaps in
// part.
func (a *Archive) Files(ctx context.Context, which int64) ([]File, error) {
	timelines, err := a.timelines(ctx, which)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, tl := range timelines {
		c := a.newChain(tl.beginning())
		for err == nil {
			var f File
			f, err = c.fileInfo(ctx)
			if f.End > 0 {
				files = append(files, f)
			}
		}
		if err != io.EOF {
			return files, err
		}
		err = nil
	}
	return files, nil
}

// follow visits the segments of the file that the chain stands in. It returns nil
// when the chain has come to the next file, and otherwise visit's error or that of
// next, io.EOF at the chain's end.
func (c *chain) follow(ctx context.Context, visit func(link) error) error {
	for file := c.end.File; c.end.File == file; {
		l, err := c.next(ctx)
		if err != nil {
			return err
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// fileInfo follows one file, and returns follow's error with what it found.
func (c *chain) fileInfo(ctx context.Context) (File, error) {
	f := File{Timeline: c.end.Timeline, File: c.end.File}
	set := gtid.New(c.end.GTIDSet.Flavor())
	segments := map[string]bool{}
	err := c.follow(ctx, func(l link) error {
		segments[segmentBase(l.meta.Start)] = true
		f.add(l.meta)
		completed, err := gtid.Parse(set.Flavor(), l.meta.GTIDSet)
		if err == nil {
			set.Union(completed)
		}
		return err
	})
	f.GTIDSet = set.String()
	dir := c.archive.fileDir(f.Timeline, f.File)
	for entry, err := range c.archive.store.List(ctx, dir, "") {
		if err != nil {
			return f, fmt.Errorf("list %s: %w", dir, err)
		}
		if segments[entry.Name] {
			f.StoredBytes += entry.Size
		}
	}
	return f, err
}

func (f *File) add(m Meta) {
	f.Segments++
	f.End = m.End
	f.Complete = m.EndsFile
	if f.FirstEventTime == nil {
		f.FirstEventTime = m.FirstEventTime
	}
	if m.LastEventTime != nil {
		f.LastEventTime = m.LastEventTime
	}
}
