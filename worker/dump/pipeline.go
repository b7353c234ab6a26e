package dump

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/gtid"
	"binkeeper/internal/guard"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

const (
	// compressors is how many segments of a task are compressed at once.
	compressors = 2
	// rawBuffers bounds the raw segments of a task that are in memory: one being read,
	// the others being compressed.
	rawBuffers = 1 + compressors
	// storeBuffers bounds those behind the one that is being stored, compressed or soon
	// to be.
	storeBuffers = compressors
	// clockEvery is after how many events a stream that never pauses is asked for
	// the time: a call for each would cost as much as the event.
	clockEvery = 256
)

// A stream is what the pipeline reads: a *source.Stream.
type stream interface {
	Next(buf []byte, until time.Time) ([]byte, *source.Event, error)
	Open() string
	TakeCompleted() *gtid.Set
	Previous() (*gtid.Set, bool)
}

// A pipeline takes a stream's events through the stages read | compress | store,
// and commits what is stored.
type pipeline struct {
	d         *Dump
	arch      *archive.Archive
	stream    stream
	segmenter *segmenter
	end       archive.End // of the chain; the store stage's

	slots  chan struct{} // one for each raw segment in memory
	work   chan *cut     // to be compressed, in any order
	order  chan *cut     // to be stored, in this order
	raws   buffers       // buffers to use again, of raw bytes
	frames buffers       // and of compressed ones, which are smaller

	mu     sync.Mutex
	newest zkpaths.LastCommit // of what is stored
	news   chan struct{}      // newest has changed
	stored chan struct{}      // closed when nothing more will be stored
}

func newPipeline(d *Dump, arch *archive.Archive, end archive.End, s stream, c *segmenter) *pipeline {
	return &pipeline{
		d: d, arch: arch, end: end, stream: s, segmenter: c,
		slots: make(chan struct{}, rawBuffers),
		raws:  make(buffers, rawBuffers), frames: make(buffers, storeBuffers),
		work: make(chan *cut, rawBuffers), order: make(chan *cut, storeBuffers),
		news: make(chan struct{}, 1), stored: make(chan struct{}),
	}
}

// run returns why the stream ended, once all that was read before is stored and
// committed; or why a later stage failed, which ends the stream. It returns nil
// when reading was ended in order.
func (p *pipeline) run() error {
	g, ctx := guard.WithContext(p.d.working)
	defer context.AfterFunc(ctx, p.d.stop)()
	for range min(compressors, runtime.GOMAXPROCS(0)) {
		g.Go(func() error { p.compress(); return nil })
	}
	g.Go(func() error {
		defer close(p.stored)
		return p.store(ctx)
	})
	g.Go(func() error { return p.checkpoint(ctx) })
	looking, endLook := context.WithCancel(ctx)
	var moved error
	g.Go(func() error {
		if moved = guard.Call(func() error { return p.d.watch(looking, p.arch) }); moved != nil {
			p.d.stop() // what was read of the server that is gone is still stored
		}
		return nil
	})
	g.Go(func() error { p.d.sweep(looking, p.arch); return nil })

	readErr := guard.Call(func() error { return p.read(ctx) })
	inOrder := p.d.reading.Err() != nil // before anything below ends it too
	endLook()
	close(p.work)
	close(p.order)
	if err := g.Wait(); err != nil {
		return err // a later stage's, which may be what ended the stream
	}
	switch {
	case moved != nil:
		return moved
	case inOrder && guard.Panicked(readErr) == nil:
		return nil
	}
	return readErr
}

// read is the first stage: it cuts the stream into segments.
func (p *pipeline) read(ctx context.Context) error {
	if err := p.takeSlot(ctx); err != nil {
		return err
	}
	if next := p.segmenter.nextFile; next != "" {
		p.segmenter.nextFile = ""
		if err := p.flush(ctx, next); err != nil {
			return err
		}
	}
	for {
		var until time.Time
		if !p.segmenter.empty() {
			until = p.segmenter.opened.Add(p.d.flushInterval())
		}
		err := p.readUntil(ctx, until)
		switch {
		case errors.Is(err, source.ErrNotYet):
			err = p.flush(ctx, "")
		case err != nil && !p.segmenter.empty():
			// What came before the stream's end is good and is kept.
			return errors.Join(err, p.flush(ctx, ""))
		}
		if err != nil {
			return err
		}
	}
}

// readUntil reads until the segment is to be flushed for its age (ErrNotYet), or
// has been flushed for another reason.
func (p *pipeline) readUntil(ctx context.Context, until time.Time) error {
	c := p.segmenter
	var received int64 // and not told yet: telling costs as much as an event
	defer func() { p.d.progress.received.Add(received) }()
	for n := 1; ; n++ {
		ev, err := c.next(p.stream, until)
		if err != nil {
			return err
		}
		switch ev.Kind {
		case source.Heartbeat:
			p.d.progress.hear()
			if c.empty() {
				p.quiet()
			}
			continue
		case source.FileEnd:
			return p.flush(ctx, ev.NextFile)
		}
		received += ev.End - ev.Start
		switch {
		case ev.NextFile != "":
			return p.flush(ctx, ev.NextFile)
		case int64(len(c.buf)) >= p.d.cfg.Spec.SegmentSize:
			return p.flush(ctx, "")
		case c.events == 1:
			return nil // the segment's age begins to count
		case n%clockEvery == 0:
			p.d.progress.received.Add(received)
			received = 0
			if !time.Now().Before(until) {
				return source.ErrNotYet
			}
		}
	}
}

// quiet passes on that the source has nothing more for now.
func (p *pipeline) quiet() {
	select {
	case p.order <- &cut{quiet: time.Now()}:
	default: // segments are under way, and time enough for the next heartbeat
	}
}

// flush sends the segment on, and ends the file when nextFile is named.
func (p *pipeline) flush(ctx context.Context, nextFile string) error {
	size := len(p.segmenter.buf)
	c := p.segmenter.cut(p.stream, nextFile, nil)
	p.d.progress.took(&c.segment.Meta)
	for _, stage := range []chan *cut{p.work, p.order} {
		select {
		case stage <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := p.takeSlot(ctx); err != nil {
		return err
	}
	p.segmenter.buf = p.raws.take(size)
	return nil
}

// takeSlot waits until there is memory for one more segment: this is what holds
// the source back when a later stage is slower.
func (p *pipeline) takeSlot(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compress is the second stage.
func (p *pipeline) compress() {
	for c := range p.work {
		c.segment.Meta.BytesHash = archive.Hash(c.raw)
		c.segment.Frames = p.d.cfg.Compressor.Compress(p.frames.take(0), c.raw)
		p.d.progress.compressed.Add(int64(len(c.raw)))
		p.raws.put(c.raw, p.mostKept())
		c.raw = nil
		<-p.slots
		close(c.ready)
	}
}

// store is the last stage: it appends the segments in order.
func (p *pipeline) store(ctx context.Context) error {
	for c := range p.order {
		if !c.quiet.IsZero() {
			p.d.progress.reached(p.end, c.quiet)
			p.d.progress.came()
			p.raws.giveBack()
			p.frames.giveBack()
			continue
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.segment.Meta.Term, c.segment.Meta.ServerID = p.d.cfg.Term.Number(), p.d.cfg.ServerID
		end, err := p.arch.Append(ctx, p.end, c.segment)
		if err != nil {
			return err
		}
		p.end = end
		p.frames.put(c.segment.Frames, p.mostKept())
		p.publish(c)
	}
	return nil
}

// mostKept is the size, in bytes, of the largest buffer that is used again. Only that
// of a segment whose one event is larger than a segment should be is let go.
func (p *pipeline) mostKept() int { return int(p.d.cfg.Spec.SegmentSize + p.d.cfg.Spec.SegmentSize/8) }

// publish says how far the archive has come.
func (p *pipeline) publish(c *cut) {
	p.d.progress.stored.Add(c.segment.Meta.End - c.segment.Meta.Start)
	p.d.progress.segments.Add(1)
	p.d.progress.came()
	p.d.progress.reached(p.end, durableBy(c.segment.Meta.LastEventTime, c.read))
	p.d.progress.gave()
	p.mu.Lock()
	p.newest = CheckpointAt(p.end)
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}
