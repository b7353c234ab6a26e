package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// Which timelines are meant, where a timeline's number is asked for.
const (
	Newest = 0  // the newest one
	All    = -1 // every one
)

// timelines returns the timelines that are meant by which, oldest first. It
// returns ErrNoTimeline when there is none, and *MismatchError.
func (a *Archive) timelines(ctx context.Context, which int64) ([]Timeline, error) {
	all, err := a.Timelines(ctx)
	if err != nil {
		return nil, asMismatch(err, 0)
	}
	if len(all) > 0 && which == All {
		return all, nil
	}
	if len(all) > 0 && which == Newest {
		return all[len(all)-1:], nil
	}
	for i, tl := range all {
		if tl.Timeline == which {
			return all[i : i+1], nil
		}
	}
	if which <= 0 {
		return nil, fmt.Errorf("%s: %w", a.task, ErrNoTimeline)
	}
	return nil, fmt.Errorf("%s, timeline %d: %w", a.task, which, ErrNoTimeline)
}

// Open returns the bytes of a binlog file, from its first to the chain's end in
// it; timeline is a number or Newest. It returns ErrNotExist for a file of which
// nothing is archived. Read returns *HoleError where an object is missing and
// *MismatchError where one is damaged; of a damaged segment, bytes may have been
// delivered by then.
func (a *Archive) Open(ctx context.Context, timeline int64, file string) (io.ReadCloser, error) {
	timelines, err := a.timelines(ctx, timeline)
	if err != nil {
		return nil, err
	}
	start := timelines[len(timelines)-1].beginning()
	start.File = file
	if !ValidFile(file) {
		return nil, fmt.Errorf("open %q of %s: %w", file, a.task, ErrNotExist)
	}
	r := &fileReader{ctx: ctx, file: file, chain: a.newChain(start), segment: newSegmentReader()}
	err = r.nextSegment()
	if err == io.EOF {
		err = ErrNotExist
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("open %s of %s: %w", file, a.task, err)
	}
	return r, nil
}

// ReadOverlap returns the bytes of the overlap of a dump that resumes at end. They are
// as archived, or an error: *MismatchError where they are not what its hash says.
func (a *Archive) ReadOverlap(ctx context.Context, end End) ([]byte, error) {
	file, overlap := end.Last.File, end.Resume().Overlap
	objects, err := a.segmentsFrom(ctx, end.Timeline, file, overlap.From)
	if err != nil {
		return nil, err
	}
	segment := newSegmentReader()
	defer segment.close()
	var raw []byte
	start := int64(-1)
	for _, object := range objects {
		meta, frames, err := ReadMeta(ctx, a.store, object)
		if err == nil {
			err = segment.open(ctx, a.store, link{object, frames, meta})
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", object, err)
		}
		if start < 0 {
			start = meta.Start
		}
		bytes, err := io.ReadAll(segment)
		if err != nil {
			return nil, err
		}
		raw = append(raw, bytes...)
	}
	if skip := overlap.From - start; start >= 0 && skip >= 0 && overlap.To-start <= int64(len(raw)) {
		raw = raw[skip : overlap.To-start]
		if Hash(raw) == overlap.Hash {
			return raw, nil
		}
	}
	return nil, &MismatchError{a.SegmentName(end.Timeline, file, end.Last.Start), overlap.From, "does not hold the bytes of its overlap_hash"}
}

// segmentsFrom returns the segments of a file from the one that holds offset on.
func (a *Archive) segmentsFrom(ctx context.Context, timeline int64, file string, offset int64) ([]string, error) {
	dir := a.fileDir(timeline, file)
	var objects []string
	for entry, err := range a.store.List(ctx, dir, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		if entry.Dir || !isSegmentBase(entry.Name) {
			continue
		}
		if entry.Name <= segmentBase(offset) {
			objects = objects[:0]
		}
		objects = append(objects, dir+"/"+entry.Name)
	}
	return objects, nil
}

// A fileReader reads one file's segments one after the other.
type fileReader struct {
	ctx     context.Context // of Open; a reader has no other way to be told
	file    string
	chain   *chain
	segment *segmentReader
}

func (r *fileReader) Read(p []byte) (int, error) {
	for {
		n, err := r.segment.Read(p)
		if n > 0 || err != io.EOF {
			return n, err
		}
		if err := r.nextSegment(); err != nil {
			return 0, err
		}
	}
}

// nextSegment opens the next segment of the file. It returns io.EOF at the end.
func (r *fileReader) nextSegment() error {
	offset := r.chain.end.Offset
	if r.chain.end.File != r.file {
		return io.EOF
	}
	l, err := r.chain.next(r.ctx)
	if err != nil {
		return asMismatch(err, offset)
	}
	return r.segment.open(r.ctx, r.chain.archive.store, l)
}

func (r *fileReader) Close() error {
	r.segment.close()
	return nil
}

// asMismatch says what a broken object means to a reader.
func asMismatch(err error, offset int64) error {
	if broken := (*BrokenError)(nil); errors.As(err, &broken) {
		return &MismatchError{broken.Object, offset, broken.Problem}
	}
	return err
}

const (
	// readAhead is how much is asked of a store at a time, in bytes.
	readAhead = 256 << 10
	// maxWindow bounds a decoder's memory; it is what the zstd command accepts.
	maxWindow = 128 << 20
)

// A segmentReader reads the raw bytes of one segment after the other, and checks
// them against the metadata. The decoder works in its caller's goroutine: working
// ahead in others takes half as much time again, and saves none.
type segmentReader struct {
	link  link
	from  io.ReadCloser // nil when no segment is open
	ahead *bufio.Reader
	dec   *zstd.Decoder
	hash  *xxhash.Digest
	size  int64 // raw bytes read of this segment
}

func newSegmentReader() *segmentReader {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // the options are constants, and right
	}
	return &segmentReader{ahead: bufio.NewReaderSize(nil, readAhead), dec: dec, hash: xxhash.New()}
}

// open begins with another segment.
func (r *segmentReader) open(ctx context.Context, store Store, l link) error {
	r.release()
	from, err := store.Open(ctx, l.object, l.frames, -1)
	if err != nil {
		return fmt.Errorf("read %s: %w", l.object, err)
	}
	r.link, r.from, r.size = l, from, 0
	r.ahead.Reset(from)
	r.hash.Reset()
	if err := r.dec.Reset(r.ahead); err != nil {
		return fmt.Errorf("read %s: %w", l.object, err)
	}
	return nil
}

// Read returns io.EOF only when the segment was whole and right.
func (r *segmentReader) Read(p []byte) (int, error) {
	n, err := r.dec.Read(p)
	r.hash.Write(p[:n])
	r.size += int64(n)
	m := r.link.meta
	switch {
	case r.size > m.End-m.Start:
		return 0, r.mismatch("holds more than its %d bytes", m.End-m.Start)
	case err == nil || n > 0:
		return n, nil
	case isStoreFailure(err):
		return 0, fmt.Errorf("read %s: %w", r.link.object, err)
	case err != io.EOF:
		return 0, r.mismatch("cannot be decompressed: %s", err)
	case r.size < m.End-m.Start:
		return 0, r.mismatch("holds %d of its %d bytes", r.size, m.End-m.Start)
	case FormatHash(r.hash.Sum64()) != m.BytesHash:
		return 0, r.mismatch("holds other bytes than its bytes_hash says")
	}
	return 0, io.EOF
}

func (r *segmentReader) mismatch(format string, args ...any) error {
	return &MismatchError{r.link.object, r.link.meta.Start, fmt.Sprintf(format, args...)}
}

// isStoreFailure reports whether err says nothing about the bytes.
func isStoreFailure(err error) bool {
	store := (*StoreError)(nil)
	return errors.As(err, &store) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// release lets go of the open segment. Read must not be called before open.
func (r *segmentReader) release() {
	if r.from != nil {
		r.dec.Reset(nil)
		r.from.Close()
		r.from = nil
	}
}

// close lets go of everything.
func (r *segmentReader) close() {
	r.release()
	r.dec.Close()
}
