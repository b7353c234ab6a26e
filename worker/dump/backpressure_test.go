package dump

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
	"binkeeper/zkpaths"
)

// mostUnderWay bounds the segments that are read and not stored: one being read or ready,
// those being compressed, those behind the one that is being stored, and that one.
const mostUnderWay = rawBuffers + storeBuffers + 1

// TestStoreThatHangs lets the store hang while the source goes on: reading stops at the
// bound, and goes on as soon as the store does. Nothing is lost, and nothing is read twice.
func TestStoreThatHangs(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		store := storetest.NewOutage(f.T, f.folder)
		f.storeIn(store)
		d := f.open()
		f.catchUp(d)
		before := d.Progress().Flow()
		store.Hang()
		const size = 10000
		for range 40 * segmentSize / size {
			f.source.Commit(size)
		}
		time.Sleep(time.Minute)
		stopped := d.Progress().Flow()
		if stopped.Archived != before.Archived || stopped.Segments != before.Segments {
			f.Fatalf("the store hangs, and it archived %+v, %+v before", stopped, before)
		}
		if got, most := stopped.Received-before.Received, int64(mostUnderWay*(segmentSize+2*size)); got < segmentSize || got > most {
			f.Errorf("%d bytes are in memory, want no more than %d", got, most)
		}
		time.Sleep(time.Hour)
		if got := d.Progress().Flow(); got.Received != stopped.Received || !d.Progress().Waiting() {
			f.Errorf("an hour later it has received %d bytes, %d before", got.Received, stopped.Received)
		}
		store.Heal()
		f.catchUp(d)
		if got := f.source.Dumps(); got != 1 {
			f.Errorf("the source has begun %d dumps, want one", got)
		}
		f.stop(d)
		f.sameAsSource()
		f.committedAll()
	})
}

// TestStoreThatIsSlow lets each call of the store take some time: what is under way stays
// within the bound at every moment, and everything comes through.
func TestStoreThatIsSlow(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		store := storetest.NewOutage(f.T, f.folder)
		f.storeIn(store)
		d := f.open()
		store.Slow(time.Second)
		const size = 20000
		for range 20 * segmentSize / size {
			f.source.Commit(size)
		}
		var most int64
		for range 40 {
			flow := d.Progress().Flow()
			most = max(most, flow.Received-flow.Archived)
			time.Sleep(500 * time.Millisecond)
		}
		if bound := int64(mostUnderWay * (segmentSize + 2*size)); most < 2*segmentSize || most > bound {
			f.Errorf("up to %d bytes were in memory, want some segments, and no more than %d", most, bound)
		}
		f.catchUp(d)
		f.stop(d)
		f.sameAsSource()
	})
}

// Where segments are not compressed as fast as they are read, reading stops at the bound of
// raw ones.
func TestRawSegmentsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dump{progress: NewProgress(), cfg: Config{Spec: zkpaths.Spec{SegmentSize: 100, FlushInterval: zkpaths.Duration(time.Hour)}}}
		s := &script{file: "b.000001"}
		for range 20 {
			s.add(100, true, true)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := newPipeline(d, nil, archive.End{}, s, newSegmenter(archive.End{Timeline: 1, File: s.file}))
		over := make(chan error, 1)
		go func() { over <- p.read(ctx) }()
		go func() {
			for range p.order {
			}
		}()
		synctest.Wait()
		if read := 20 - len(s.events); read != rawBuffers || len(p.work) != rawBuffers {
			t.Errorf("%d segments were read and %d are to be compressed, want %d", read, len(p.work), rawBuffers)
		}
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Errorf("reading ended with %v", err)
		}
		close(p.order)
	})
}

// Buffers are given back when the source has nothing more, and a buffer that one large
// event has made is not kept.
func TestBuffersAreGivenBack(t *testing.T) {
	b := make(buffers, 2)
	b.put(make([]byte, 0, 100), 100)
	b.put(make([]byte, 0, 101), 100) // too large
	b.put(nil, 100)
	b.put(make([]byte, 5, 50), 100)
	b.put(make([]byte, 0, 70), 100) // no room
	if len(b) != 2 {
		t.Fatalf("%d buffers are kept, want 2", len(b))
	}
	if buf := b.take(10); cap(buf) != 100 || len(buf) != 0 {
		t.Errorf("took one of %d bytes with room for %d, want the first", len(buf), cap(buf))
	}
	b.giveBack()
	if len(b) != 0 {
		t.Errorf("%d buffers are kept", len(b))
	}
	if buf := b.take(160); len(buf) != 0 || cap(buf) < 160 {
		t.Errorf("took one of %d bytes with room for %d, want a new one", len(buf), cap(buf))
	}
}
