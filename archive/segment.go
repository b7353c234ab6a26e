package archive

import (
	"runtime"
	"slices"
)

// A Segment is what Append stores: its metadata, and the zstd frames of its raw
// bytes as a Compressor made them.
type Segment struct {
	Meta   Meta
	Frames []byte
}

const (
	// rawFrame is about how many raw bytes a frame holds: half as many to half as
	// many again. Binlogs repeat what is near, so more in a frame saves nothing, and
	// it is what bounds an encoder's memory.
	rawFrame = 1 << 20
	// sampleSize is how many bytes of a segment are compressed for a try.
	sampleSize = 64 << 10
	// worthEffort is by which share the full effort must make the sample smaller.
	// It takes a fifth of the time, and where small rows differ in random bytes only,
	// as in numbers and checksums, it saves nearly nothing.
	worthEffort = 32
)

// An effort is what an encoder does to make a frame small. Bytes that do not compress
// are stored as they are by both.
type effort int

const (
	least effort = iota
	full
)

// A Compressor makes the zstd frames of segments. It is safe for concurrent use.
// It favours speed: a source that is caught up with is limited by compression.
type Compressor struct{ idle chan *encoder }

// NewCompressor returns a Compressor that runs at most GOMAXPROCS compressions at
// once.
func NewCompressor() *Compressor {
	c := &Compressor{idle: make(chan *encoder, runtime.GOMAXPROCS(0))}
	for range cap(c.idle) {
		c.idle <- newEncoder()
	}
	return c
}

// Compress appends the frames of raw to dst and returns it. Without raw bytes
// there are none.
func (c *Compressor) Compress(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	enc, done := <-c.idle, false
	defer func() {
		if !done { // a panic has left it half used
			enc = newEncoder()
		}
		c.idle <- enc
	}()
	effort := suited(enc, raw)
	had, frames := len(dst), max(1, (len(raw)+rawFrame/2)/rawFrame)
	for left := frames; left > 0; left-- {
		size := len(raw) / left
		dst = enc.appendFrame(dst, raw[:size], effort)
		raw = raw[size:]
		if left == frames { // growing step by step would leave as much garbage again
			dst = slices.Grow(dst, (len(dst)-had)*(left-1)*17/16)
		}
	}
	done = true
	return dst
}

// suited tries both efforts on bytes from the middle of raw.
func suited(enc *encoder, raw []byte) effort {
	if len(raw) < 4*sampleSize {
		return full
	}
	sample := raw[len(raw)/2:][:sampleSize]
	size := func(e effort) int {
		enc.tried = enc.appendFrame(enc.tried[:0], sample, e)
		return len(enc.tried)
	}
	if small := size(full); size(least)-small < small/worthEffort {
		return least
	}
	return full
}
