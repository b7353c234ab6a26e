package dump

import (
	"sync"
	"sync/atomic"
	"time"

	"binkeeper/archive"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// Progress is how far a dump has come. Its stages write it, its term reads it.
type Progress struct {
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

// NewProgress returns the progress of a dump that has not begun.
func NewProgress() *Progress { return &Progress{advanced: make(chan struct{})} }

// Step takes note that something has been done that ends in no event yet, such as a read
// of the store. Once the dump is open, reads are those of looks aside: they tell nothing
// of the stages, of which one may hang.
func (p *Progress) Step() {
	if !p.IsOpen() {
		p.calls.Add(1)
	}
}

// Moved is a number that changes whenever anything moves.
func (p *Progress) Moved() int64 {
	return p.calls.Load() + p.received.Load() + p.compressed.Load() + p.stored.Load()
}

// Waiting reports whether there is something to move: the dump is not open yet,
// a segment is under way, or the source has more than is archived.
func (p *Progress) Waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.open || p.inFlight > 0 || behind(p.files, p.file, p.offset) > 0
}

func (p *Progress) opened() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
}

func (p *Progress) sawFiles(files []source.BinlogFile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = files
}

// took records a segment that has been read.
func (p *Progress) took(m *archive.Meta) {
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
func (p *Progress) hear() { p.heard.Store(time.Now().UnixNano()) }

// came takes note that what the stream brings can be archived, or that it has all
// been.
func (p *Progress) came() { p.advance.Do(func() { close(p.advanced) }) }

// reached records the archive's new end. at is the source's time of the last
// event there, zero when that is not known.
func (p *Progress) reached(end archive.End, at time.Time) {
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
func (p *Progress) end() (file string, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file, p.offset
}

func (p *Progress) gave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
}

// IsOpen reports whether the stream is open and proven.
func (p *Progress) IsOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// Flow returns what has gone through the stages so far.
func (p *Progress) Flow() Flow {
	f := Flow{Received: p.received.Load(), Events: p.events.Load(), Archived: p.stored.Load(), Segments: p.segments.Load()}
	if ns := p.heard.Load(); ns != 0 {
		f.LastHeard = time.Unix(0, ns)
	}
	if s := p.lastEvent.Load(); s != 0 {
		f.LastEvent = time.Unix(s, 0)
	}
	return f
}

// SourceFiles counts the source's files around the archive's end.
func (p *Progress) SourceFiles() SourceFiles {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sourceFilesLocked()
}

func (p *Progress) sourceFilesLocked() (n SourceFiles) {
	if p.file == "" {
		return n
	}
	for _, f := range p.files {
		switch {
		case archive.FileBefore(f.Name, p.file):
			n.Older++
		case archive.FileBefore(p.file, f.Name):
			n.Newer++
		}
	}
	return n
}

// margin is how many files the source can purge before the one that is needed next.
// Nothing is known of that before the source has listed its files, and nothing is
// at risk while the newest one is needed next: a source never purges that.
func (n SourceFiles) margin() zkpaths.Margin {
	if n.Newer == 0 {
		return zkpaths.Margin{}
	}
	return zkpaths.Margin{Files: int64(n.Older), Known: true}
}

// Describe writes the figures into a status.
func (p *Progress) Describe(s *zkpaths.Status) {
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

// A Flow is what has gone through a dump's stages.
type Flow struct {
	Received, Events     int64     // bytes and events that the source has sent
	Archived, Segments   int64     // raw bytes and segments that are durable
	LastHeard, LastEvent time.Time // by this machine's clock, heartbeats included; by the source's
}

// Plus is what has gone through the stages of two dumps, of which o is the later.
func (f Flow) Plus(o Flow) Flow {
	f.Received, f.Events = f.Received+o.Received, f.Events+o.Events
	f.Archived, f.Segments = f.Archived+o.Archived, f.Segments+o.Segments
	if !o.LastHeard.IsZero() {
		f.LastHeard = o.LastHeard
	}
	if !o.LastEvent.IsZero() {
		f.LastEvent = o.LastEvent
	}
	return f
}

// SourceFiles is how many of the source's binlog files come before and after the one that
// is needed next.
type SourceFiles struct{ Older, Newer int }
