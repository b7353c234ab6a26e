package dump

import (
	"fmt"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"

	"github.com/cespare/xxhash/v2"
)

// A segmenter gathers the events of a stream into segments.
type segmenter struct {
	buf    []byte // the segment's raw bytes so far
	file   string
	start  int64     // where buf begins in file
	opened time.Time // when the first event came

	events           int64
	first, last      uint32    // event times; s since 1970
	lastEvent        int64     // where the last event begins
	transactionBegin int64     // where the file's last transaction begins; -1: not known
	transactionEnd   int64     // of the last one completed in this segment; -1: none
	previous         *gtid.Set // what the file's previous-GTIDs event says, if this segment holds it
	atHead           bool      // the file's second event comes next, which may be that one

	nextFile string // the file ends here, which was read with its head, and this one follows

	// The overlap up to the end of the last cut, for a transaction that spans
	// segments and for a segment without bytes.
	overlap     xxhash.Digest
	overlapFrom int64 // where overlap's bytes begin; -1: it holds none
	overlapHash string
	overlapAt   int64
}

// newSegmenter returns a segmenter that goes on from end.
func newSegmenter(end archive.End) *segmenter {
	c := &segmenter{transactionBegin: -1, transactionEnd: -1, overlapFrom: -1}
	c.file, c.start = end.File, end.Offset
	if end.HasLast {
		c.overlapAt, c.overlapHash = end.Last.OverlapStart, end.Last.OverlapHash
	}
	return c
}

func (c *segmenter) empty() bool { return len(c.buf) == 0 }

// next reads one more event of s into the segment. An event that does not belong at
// the segment's end is an error, and not taken in.
func (c *segmenter) next(s stream, until time.Time) (*source.Event, error) {
	before := len(c.buf)
	buf, ev, err := s.Next(c.buf, until)
	c.buf = buf
	if err != nil || ev.Kind != source.Data {
		return ev, err
	}
	if end := c.start + int64(len(buf)); ev.End != end {
		c.buf = buf[:before]
		return ev, fmt.Errorf("an event that ends at %d was read where one to %d of %s belongs", ev.End, end, c.file)
	}
	c.add(ev, s)
	return ev, nil
}

// add counts an event whose bytes stand at the end of buf.
func (c *segmenter) add(ev *source.Event, s stream) {
	if c.events == 0 {
		c.first, c.opened = ev.Time, time.Now()
	}
	c.events++
	c.last = ev.Time
	c.lastEvent = ev.Start
	switch {
	case ev.Start == 0: // the magic stands in front of a file's first event
		c.lastEvent = binlog.MagicSize
		c.atHead = true
	case c.atHead:
		c.previous, _ = s.Previous()
		c.atHead = false
	}
	if ev.Begins {
		c.transactionBegin = ev.Start
	}
	switch {
	case ev.Completes && ev.Begins: // the transaction before had no end of its own
		c.transactionEnd = ev.Start
	case ev.Completes:
		c.transactionEnd = ev.End
	}
}

// A cut is one segment on its way through the stages; or, when quiet is set, only
// the word that the source had nothing more at that time.
type cut struct {
	segment archive.Segment
	raw     []byte
	read    time.Time     // when the last of raw was read
	ready   chan struct{} // closed when the segment is compressed
	quiet   time.Time
}

// cut ends the segment, and the file too when nextFile is named. Its raw bytes are
// the cut's from then on; the next segment's go into buf.
func (c *segmenter) cut(s stream, nextFile string, buf []byte) *cut {
	end := c.start + int64(len(c.buf))
	c.findOverlap(end)
	m := archive.Meta{
		File: c.file, Start: c.start, End: end, Events: c.events,
		LastTransactionEnd: c.transactionEnd, OpenTransaction: s.Open(), GTIDSet: s.TakeCompleted().String(),
		OverlapStart: c.overlapAt, OverlapHash: c.overlapHash,
		EndsFile: nextFile != "", NextFile: nextFile,
	}
	if c.events > 0 {
		first, last := time.Unix(int64(c.first), 0), time.Unix(int64(c.last), 0)
		m.FirstEventTime, m.LastEventTime = &first, &last
	}
	if c.previous != nil {
		text := c.previous.String()
		m.PreviousGTIDSet = &text
	}
	done := &cut{segment: archive.Segment{Meta: m}, raw: c.buf, read: time.Now(), ready: make(chan struct{})}

	c.buf, c.start = buf[:0], end
	c.events, c.transactionEnd, c.previous = 0, -1, nil
	if nextFile != "" {
		c.file, c.start, c.transactionBegin, c.overlapFrom = nextFile, 0, -1, -1
	}
	return done
}

// findOverlap sets where a dump that resumes at end is to begin, and the hash of
// the bytes from there. Without new bytes it stays as it was.
func (c *segmenter) findOverlap(end int64) {
	if len(c.buf) == 0 {
		return
	}
	if c.transactionBegin >= c.start {
		c.overlap.Reset()
		c.overlapFrom = c.transactionBegin
		c.overlap.Write(c.buf[c.transactionBegin-c.start:])
	} else if c.overlapFrom >= 0 {
		c.overlap.Write(c.buf)
	}
	if c.overlapFrom >= 0 && end-c.overlapFrom <= archive.MaxOverlap {
		c.overlapAt, c.overlapHash = c.overlapFrom, archive.FormatHash(c.overlap.Sum64())
		return
	}
	// The transaction is long, or began before this dump did.
	c.overlapFrom = -1
	c.overlapAt, c.overlapHash = c.lastEvent, archive.Hash(c.buf[c.lastEvent-c.start:])
}
