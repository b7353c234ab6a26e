package archive

import (
	"github.com/klauspost/compress/zstd"
)

// A Segment is what Append stores: its metadata, and the zstd frames of its raw
// bytes as a Compressor made them.
type Segment struct {
	Meta   Meta
	Frames []byte
}

const (
	// frameWindow is how far back, in bytes, a frame refers to what it repeats.
	// Binlogs repeat what is near: 1 MiB saves as much as 8, and an encoder keeps
	// twice the window in memory.
	frameWindow = 1 << 20
	// sampleSize is how many bytes of a segment are compressed for a try.
	sampleSize = 64 << 10
	// worthEntropy is by which share entropy coding must make the sample smaller.
	// It takes a fifth of the time, and where small rows differ in random bytes only,
	// as in numbers and checksums, it saves nothing.
	worthEntropy = 32
)

// A Compressor makes the zstd frames of segments. It is safe for concurrent use.
// It favours speed: a source that is caught up with is limited by compression.
// Bytes that do not compress are stored as they are.
type Compressor struct {
	full    *zstd.Encoder // matches and entropy coding
	matches *zstd.Encoder // literals as they are
}

// NewCompressor returns a Compressor that runs at most GOMAXPROCS compressions at
// once.
func NewCompressor() *Compressor {
	return &Compressor{full: newEncoder(), matches: newEncoder(zstd.WithNoEntropyCompression(true))}
}

func newEncoder(options ...zstd.EOption) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, append(options,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(frameWindow),
		zstd.WithEncoderCRC(true))...)
	if err != nil {
		panic(err) // the options are constants, and right
	}
	return enc
}

// Compress appends the frames of raw to dst and returns it. Without raw bytes
// there are none.
func (c *Compressor) Compress(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	return c.suited(dst, raw).EncodeAll(raw, dst)
}

// suited tries both encoders on bytes from the middle of raw. It writes them behind
// dst, where there is room.
func (c *Compressor) suited(dst, raw []byte) *zstd.Encoder {
	if len(raw) < 4*sampleSize {
		return c.full
	}
	sample, room := raw[len(raw)/2:][:sampleSize], dst[len(dst):]
	full := len(c.full.EncodeAll(sample, room))
	if matches := len(c.matches.EncodeAll(sample, room)); matches-full < full/worthEntropy {
		return c.matches
	}
	return c.full
}
