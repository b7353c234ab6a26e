package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Progress is how far an export has come.
type Progress struct {
	Timeline int64
	File     string
	Offset   int64 // written of File
	Files    int   // begun in all
	Bytes    int64 // written in all
}

// Export writes the binlog files of a timeline into dir, which must be new or
// empty (*NotEmptyError); which is a number, Newest or All. With All, each
// timeline has a folder of its own, named by its number. A file ends where the
// chain does; files without bytes are left out. progress, which may be nil, is
// called after every segment.
//
// A file has its name only when its bytes are checked and durable. With *HoleError
// what is before the hole is there, and nothing beyond it. With any other error,
// *MismatchError for one, the file in which it happened is not there.
func (a *Archive) Export(ctx context.Context, dir string, which int64, progress func(Progress)) error {
	timelines, err := a.timelines(ctx, which)
	if err != nil {
		return err
	}
	if err := newDir(dir); err != nil {
		return err
	}
	x := &exporter{archive: a, report: progress, segment: newSegmentReader(), buffer: make([]byte, readAhead)}
	defer x.segment.close()
	if x.report == nil {
		x.report = func(Progress) {}
	}
	for _, tl := range timelines {
		into := dir
		if which == All {
			into = filepath.Join(dir, formatNumber(tl.Timeline))
			if err := newDir(into); err != nil {
				return err
			}
		}
		if err := x.timeline(ctx, tl, into); err != nil {
			return err
		}
	}
	return nil
}

// newDir makes dir, durably, unless it is there and empty.
func newDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read output folder: %w", err)
	}
	if len(entries) > 0 {
		return &NotEmptyError{dir}
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// An exporter writes timelines to folders.
type exporter struct {
	archive *Archive
	report  func(Progress)
	done    Progress
	segment *segmentReader
	buffer  []byte
}

func (x *exporter) timeline(ctx context.Context, tl Timeline, dir string) error {
	c := x.archive.newChain(tl.beginning())
	var err error
	for err == nil {
		err = x.file(ctx, c, dir)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// file writes the file in which the chain stands, and returns follow's error.
func (x *exporter) file(ctx context.Context, c *chain, dir string) error {
	x.done.Timeline, x.done.File, x.done.Offset = c.end.Timeline, c.end.File, 0
	out := output{name: filepath.Join(dir, c.end.File), temp: filepath.Join(dir, TempPrefix+c.end.File)}
	err := c.follow(ctx, func(l link) error { return x.copySegment(ctx, &out, l) })
	hole := (*HoleError)(nil)
	if err == nil || err == io.EOF || errors.As(err, &hole) {
		if perr := out.publish(); perr != nil {
			return fmt.Errorf("write %s: %w", out.name, perr)
		}
		return err
	}
	if derr := out.discard(); derr != nil {
		return errors.Join(err, derr)
	}
	return asMismatch(err, x.done.Offset)
}

func (x *exporter) copySegment(ctx context.Context, out *output, l link) error {
	if err := x.segment.open(ctx, x.archive.store, l); err != nil {
		return err
	}
	defer x.segment.release()
	for {
		n, err := x.segment.Read(x.buffer)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := out.write(x.buffer[:n]); err != nil {
			return fmt.Errorf("write %s: %w", out.name, err)
		}
	}
	if x.done.Offset == 0 && !l.meta.Empty() {
		x.done.Files++
	}
	x.done.Offset = l.meta.End
	x.done.Bytes += l.meta.End - l.meta.Start
	x.report(x.done)
	return nil
}

// An output is a file that gets its name when it is whole. It is made with its
// first byte.
type output struct {
	name, temp string
	file       *os.File // nil before the first byte
}

func (o *output) write(b []byte) (err error) {
	if o.file == nil {
		if o.file, err = os.OpenFile(o.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640); err != nil {
			return err
		}
	}
	_, err = o.file.Write(b)
	return err
}

// publish makes the file durable under its name.
func (o *output) publish() error {
	if o.file == nil {
		return nil
	}
	if err := errors.Join(o.file.Sync(), o.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(o.temp, o.name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(o.name))
}

func (o *output) discard() error {
	if o.file == nil {
		return nil
	}
	return errors.Join(o.file.Close(), os.Remove(o.temp))
}
