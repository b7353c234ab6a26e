package dump

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"
)

// A script is a stream of made-up events: the segmenter looks at no bytes of theirs.
type script struct {
	file     string
	offset   int64
	events   []source.Event
	raw      []byte // of file, from its byte 0
	open     string
	previous *gtid.Set
}

func (s *script) Next(buf []byte, _ time.Time) ([]byte, *source.Event, error) {
	if len(s.events) == 0 {
		return buf, nil, source.ErrNotYet
	}
	ev := s.events[0]
	s.events = s.events[1:]
	return append(buf, s.raw[ev.Start:ev.End]...), &ev, nil
}
func (s *script) Open() string                { return s.open }
func (s *script) TakeCompleted() *gtid.Set    { return gtid.New(gtid.MySQL) }
func (s *script) Previous() (*gtid.Set, bool) { return s.previous, s.previous != nil }

// add puts an event of size bytes at the script's end.
func (s *script) add(size int, begins, completes bool) {
	ev := source.Event{Kind: source.Data, Type: 2, Time: uint32(1000 + s.offset), Start: s.offset, End: s.offset + int64(size), Begins: begins, Completes: completes}
	for i := range size {
		s.raw = append(s.raw, byte(int(s.offset)*7+i*31))
	}
	s.offset = ev.End
	s.events = append(s.events, ev)
}

// take lets the segmenter read n events.
func take(t *testing.T, c *segmenter, s *script, n int) {
	t.Helper()
	for range n {
		if _, err := c.next(s, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCutterOverlap(t *testing.T) {
	const big = archive.MaxOverlap + 1
	type event struct {
		size              int
		begins, completes bool
	}
	tests := []struct {
		name   string
		events []event // cut after each event whose index is in cuts
		cuts   []int
		want   []int64 // overlap_start of each cut
	}{
		{"no transaction yet: the last event", []event{{120, false, false}, {70, false, false}}, []int{0, 1}, []int64{4, 120}},
		{"the last transaction's begin", []event{{120, false, false}, {70, true, false}, {30, false, true}}, []int{2}, []int64{120}},
		{"a later transaction's begin", []event{{120, false, false}, {70, true, true}, {30, true, true}}, []int{2}, []int64{190}},
		{"a transaction across segments", []event{{120, false, false}, {70, true, false}, {30, false, false}, {30, false, true}}, []int{1, 2, 3}, []int64{120, 120, 120}},
		{"a long transaction: the last event", []event{{120, false, false}, {70, true, false}, {big, false, false}, {30, false, true}}, []int{3}, []int64{120 + 70 + big}},
		{"one that grows long across segments", []event{{120, false, false}, {70, true, false}, {big, false, false}, {30, false, true}}, []int{1, 2, 3}, []int64{120, 190, 190 + big}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{file: "b.000001"}
			for _, e := range tt.events {
				s.add(e.size, e.begins, e.completes)
			}
			c := newSegmenter(archive.End{Timeline: 1, File: s.file})
			next := 0
			for i, last := range tt.cuts {
				take(t, c, s, last+1-next)
				next = last + 1
				m := c.cut(s, "", nil).segment.Meta
				if m.OverlapStart != tt.want[i] {
					t.Errorf("cut %d: overlap from %d, want %d", i, m.OverlapStart, tt.want[i])
				}
				if want := archive.Hash(s.raw[m.OverlapStart:m.End]); m.OverlapHash != want {
					t.Errorf("cut %d: overlap hash %s, want %s", i, m.OverlapHash, want)
				}
			}
		})
	}
}

func TestCutterDescribesSegments(t *testing.T) {
	s := &script{file: "b.000001"}
	s.previous, _ = gtid.Parse(gtid.MySQL, uuidA+":1-5")
	for _, size := range []int{120, 70, 60, 31} {
		s.add(size, size == 60, size == 31)
	}
	c := newSegmenter(archive.End{Timeline: 1, File: s.file})
	take(t, c, s, 3)
	s.open = uuidA + ":6"
	first := c.cut(s, "", nil)
	take(t, c, s, 1)
	s.open = ""
	second := c.cut(s, "b.000002", nil)

	if !bytes.Equal(append(bytes.Clone(first.raw), second.raw...), s.raw) {
		t.Error("the segments do not hold the file's bytes")
	}
	a, b := first.segment.Meta, second.segment.Meta
	got := fmt.Sprintln(a.File, a.Start, a.End, a.Events, a.LastTransactionEnd, a.OpenTransaction, a.EndsFile, a.FirstEventTime.Unix(), a.LastEventTime.Unix()) +
		fmt.Sprintln(b.File, b.Start, b.End, b.Events, b.LastTransactionEnd, b.OpenTransaction, b.EndsFile, b.NextFile)
	want := "b.000001 0 250 3 -1 " + uuidA + ":6 false 1000 1190\n" + "b.000001 250 281 1 281  true b.000002\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if a.PreviousGTIDSet == nil || *a.PreviousGTIDSet != uuidA+":1-5" || b.PreviousGTIDSet != nil {
		t.Errorf("previous GTIDs %v and %v, want them in the first segment alone", a.PreviousGTIDSet, b.PreviousGTIDSet)
	}
	if c.file != "b.000002" || c.start != 0 {
		t.Errorf("goes on at %s:%d, want b.000002:0", c.file, c.start)
	}
}

// A file that a crash has ended gets a segment without bytes, across which a dump
// resumes in the data before it.
func TestCutterEndsFileWithoutBytes(t *testing.T) {
	last := archive.Meta{File: "b.000001", Start: 200, End: 300, OverlapStart: 250, OverlapHash: "0123456789abcdef"}
	c := newSegmenter(archive.End{Timeline: 1, File: "b.000001", Offset: 300, Last: last, HasLast: true})
	m := c.cut(&script{}, "b.000002", nil).segment.Meta
	if m.Start != 300 || m.End != 300 || m.Events != 0 || m.FirstEventTime != nil || !m.EndsFile || m.NextFile != "b.000002" {
		t.Errorf("got %+v", m)
	}
	if m.OverlapStart != last.OverlapStart || m.OverlapHash != last.OverlapHash {
		t.Errorf("overlap from %d (%s), want that of the segment before", m.OverlapStart, m.OverlapHash)
	}
}

// A file of a format description alone, after which the source goes on with the
// next one, ends in the archive too.
func TestReadHeadTakesTheFilesEnd(t *testing.T) {
	s := &script{file: "b.000001"}
	s.add(120, false, false)
	s.events = append(s.events, source.Event{Kind: source.FileEnd, Start: 120, End: 120, NextFile: "b.000002"})
	c := newSegmenter(archive.End{Timeline: 1, File: s.file})
	if err := readHead(s, c); err != nil {
		t.Fatal(err)
	}
	if c.nextFile != "b.000002" || len(c.buf) != 120 {
		t.Errorf("next file %q after %d bytes, want b.000002 after 120", c.nextFile, len(c.buf))
	}
}

func TestCutterRefusesWhatDoesNotBelong(t *testing.T) {
	s := &script{file: "b.000001"}
	s.add(120, false, false)
	s.add(70, false, false)
	s.events[1].Start, s.events[1].End = s.events[1].Start-10, s.events[1].End-10
	c := newSegmenter(archive.End{Timeline: 1, File: s.file})
	take(t, c, s, 1)
	if _, err := c.next(s, time.Time{}); err == nil {
		t.Error("an event of another offset was taken in")
	}
	if len(c.buf) != 120 || c.events != 1 {
		t.Errorf("the segment has %d bytes of %d events, want the 120 of one", len(c.buf), c.events)
	}
}
