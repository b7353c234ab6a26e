package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"binkeeper/archive"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// progress is how far a dump has come. Its stages write it, its term reads it.
type progress struct {
	// What moved, by stage, in bytes; calls counts the steps that end in no event
	// yet: of a walk, an overlap, a large event.
	calls, received, compressed, stored atomic.Int64
	events, segments                    atomic.Int64 // read, and stored

	heard, lastEvent atomic.Int64 // ns and s since 1970, the latter by the source's clock; 0: never

	mu       sync.Mutex
	files    []source.BinlogFile // as the source listed them last
	file     string              // where the archive ends
	offset   int64
	durable  time.Time // all that the source had written by then is archived
	inFlight int       // segments between the first and the last stage
	open     bool
	advanced chan struct{} // closed once the stream has come to something: a segment, or the source's end
	advance  sync.Once
}

// moved is a number that changes whenever anything moves.
func (p *progress) moved() int64 {
	return p.calls.Load() + p.received.Load() + p.compressed.Load() + p.stored.Load()
}

// waiting reports whether there is something to move: the dump is not open yet,
// a segment is under way, or the source has more than is archived.
func (p *progress) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.open || p.inFlight > 0 || behind(p.files, p.file, p.offset) > 0
}

func (p *progress) opened() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
}

func (p *progress) sawFiles(files []source.BinlogFile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = files
}

// took takes note of a segment that has been read.
func (p *progress) took(m *archive.Meta) {
	p.hear()
	p.events.Add(m.Events)
	if m.LastEventTime != nil {
		p.lastEvent.Store(m.LastEventTime.Unix())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight++
}

// hear takes note that the source has just sent something.
func (p *progress) hear() { p.heard.Store(time.Now().UnixNano()) }

// came takes note that what the stream brings can be archived, or that it has all
// been.
func (p *progress) came() { p.advance.Do(func() { close(p.advanced) }) }

// reached takes note of the archive's new end. at is the source's time of the last
// event there, zero when that is not known.
func (p *progress) reached(end archive.End, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file, p.offset = end.File, end.Offset
	if at.After(p.durable) {
		p.durable = at
	}
}

// durableBy is the moment up to which all is archived once an event is: its own time,
// nil for none, but not after it was read. Any client of the source's can give an
// event any time.
func durableBy(event *time.Time, read time.Time) time.Time {
	switch {
	case event == nil:
		return time.Time{}
	case event.After(read):
		return read
	}
	return *event
}

// end is where the archive ends.
func (p *progress) end() (file string, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file, p.offset
}

func (p *progress) gave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
}

func (p *progress) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// flow returns what has gone through the stages so far.
func (p *progress) flow() flow {
	f := flow{received: p.received.Load(), events: p.events.Load(), archived: p.stored.Load(), segments: p.segments.Load()}
	if ns := p.heard.Load(); ns != 0 {
		f.lastHeard = time.Unix(0, ns)
	}
	if s := p.lastEvent.Load(); s != 0 {
		f.lastEvent = time.Unix(s, 0)
	}
	return f
}

// sourceFiles counts the source's files around the archive's end.
func (p *progress) sourceFiles() sourceFiles {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sourceFilesLocked()
}

func (p *progress) sourceFilesLocked() (n sourceFiles) {
	if p.file == "" {
		return n
	}
	for _, f := range p.files {
		switch {
		case archive.FileBefore(f.Name, p.file):
			n.older++
		case archive.FileBefore(p.file, f.Name):
			n.newer++
		}
	}
	return n
}

// margin is how many files the source can purge before the one that is needed next.
// Nothing is known of that before the source has listed its files, and nothing is
// at risk while the newest one is needed next: a source never purges that.
func (n sourceFiles) margin() zkpaths.Margin {
	if n.newer == 0 {
		return zkpaths.Margin{}
	}
	return zkpaths.Margin{Files: int64(n.older), Known: true}
}

// describe writes the figures into a status.
func (p *progress) describe(s *zkpaths.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == "" {
		return
	}
	s.File, s.Position = p.file, p.offset
	// The source's list may be a minute old; what was read since counts too.
	s.BehindBytes = max(behind(p.files, p.file, p.offset), p.received.Load()-p.stored.Load())
	s.CaughtUp = p.open && s.BehindBytes == 0
	s.PurgeMargin = p.sourceFilesLocked().margin()
	if !p.durable.IsZero() {
		s.DurableTime = zkpaths.At(p.durable)
	}
}
