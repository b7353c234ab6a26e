//go:build !cgo

package archive

import "github.com/klauspost/compress/zstd"

// encoder is zstd in Go, for a build without a C compiler. It takes nearly
// twice the CPU time. It is not safe for concurrent use.
type encoder struct {
	by    [2]*zstd.Encoder // efforts
	tried []byte           // a frame that is not kept
}

func newEncoder() *encoder {
	return &encoder{by: [...]*zstd.Encoder{
		least: newZstdEncoder(zstd.WithNoEntropyCompression(true)),
		full:  newZstdEncoder(),
	}}
}

func newZstdEncoder(options ...zstd.EOption) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, append(options,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(rawFrame),
		zstd.WithEncoderCRC(true))...)
	if err != nil {
		panic(err) // the options are constants, and right
	}
	return enc
}

func (e *encoder) appendFrame(dst, raw []byte, effort effort) []byte {
	return e.by[effort].EncodeAll(raw, dst)
}
