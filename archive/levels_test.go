//go:build cgo

package archive_test

import (
	"fmt"
	"os"
	"testing"

	czstd "github.com/DataDog/zstd"
	"github.com/klauspost/compress/zstd"

	"binkeeper/archive"
)

// BenchmarkLevels is what zstd's levels cost and save, and what the Compressor makes of
// them in segments: on the first 64 MiB of the binlog file that BINLOG names, or on bytes
// a third of which does not compress.
func BenchmarkLevels(b *testing.B) {
	raw := binlogLike(8 << 20)
	if name := os.Getenv("BINLOG"); name != "" {
		var err error
		if raw, err = os.ReadFile(name); err != nil {
			b.Fatal(err)
		}
		raw = raw[:min(len(raw), 64<<20)]
	}
	type contender struct {
		name     string
		at       int // how many bytes at a time
		compress func(dst, raw []byte) []byte
	}
	levels := []contender{{"compressor", 8 << 20, archive.NewCompressor().Compress}, {"Go, fastest", 1 << 20, inGo(b)}}
	for _, level := range []int{3, 1, -1, -3, -5} {
		levels = append(levels, contender{fmt.Sprintf("level %d", level), 1 << 20, inC(b, level)})
	}
	for _, l := range levels {
		b.Run(l.name, func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				dst = dst[:0]
				for left := raw; len(left) > 0; {
					part := left[:min(len(left), l.at)]
					dst, left = l.compress(dst, part), left[len(part):]
				}
			}
			b.ReportMetric(float64(len(raw))/float64(len(dst)), "ratio")
		})
	}
}

func inC(b *testing.B, level int) func(dst, raw []byte) []byte {
	context, frame := czstd.NewCtx(), []byte(nil)
	return func(dst, raw []byte) []byte {
		made, err := context.CompressLevel(frame, raw, level)
		if err != nil {
			b.Fatal(err)
		}
		frame = made[:cap(made)]
		return append(dst, made...)
	}
}

func inGo(b *testing.B) func(dst, raw []byte) []byte {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	return func(dst, raw []byte) []byte { return enc.EncodeAll(raw, dst) }
}
