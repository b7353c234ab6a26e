package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// progress is how far a dump has come. Its stages write it, its term reads it.
type progress struct {
	// What moved, by stage, in bytes; calls counts what succeeded before the
	// dump was open.
	calls, received, compressed, stored atomic.Int64

	mu       sync.Mutex
	files    []source.BinlogFile // as the source listed them last
	file     string              // where the archive ends
	offset   int64
	durable  time.Time // all that the source had written by then is archived
	inFlight int       // segments between the first and the last stage
	open     bool
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

func (p *progress) took() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight++
}

// reached takes note of the archive's new end. at is the source's time of the last
// event there, zero when that is not known.
func (p *progress) reached(file string, offset int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file, p.offset = file, offset
	if at.After(p.durable) {
		p.durable = at
	}
}

func (p *progress) gave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
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
	if !p.durable.IsZero() {
		s.DurableTime = zkpaths.At(p.durable)
	}
}
