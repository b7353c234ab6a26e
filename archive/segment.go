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

// A Compressor makes the zstd frames of segments. It is safe for concurrent use.
// It favours speed: a source that is caught up with is limited by compression.
// Bytes that do not compress are stored as they are.
type Compressor struct {
	enc *zstd.Encoder
}

// NewCompressor returns a Compressor that runs at most GOMAXPROCS compressions at
// once.
func NewCompressor() *Compressor {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err) // the options are constants, and right
	}
	return &Compressor{enc}
}

// Compress appends the frames of raw to dst and returns it. Without raw bytes
// there are none.
func (c *Compressor) Compress(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	return c.enc.EncodeAll(raw, dst)
}
