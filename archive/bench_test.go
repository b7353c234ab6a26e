package archive_test

import (
	"io"
	"testing"

	"binkeeper/archive"
)

// binlogLike returns bytes of which a third does not compress.
func binlogLike(size int64) []byte {
	b := content(file(1), 0, size)
	for i := range b {
		if i%64 < 44 {
			b[i] = byte(i % 64)
		}
	}
	return b
}

// BenchmarkEncode compresses and hashes a segment of the default size.
func BenchmarkEncode(b *testing.B) {
	raw := binlogLike(8 << 20)
	var dst []byte
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		dst = compressor.Compress(dst[:0], raw)
		_ = archive.Hash(raw)
	}
	b.ReportMetric(float64(len(raw))/float64(len(dst)), "ratio")
}

// BenchmarkAppend publishes small segments durably.
func BenchmarkAppend(b *testing.B) {
	arch := newBuilder(b)
	end := arch.end
	for b.Loop() {
		var err error
		if end, err = arch.Append(b.Context(), end, arch.segment(end, 1000)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWalk follows 1000 segments without a hint, and none with one.
func BenchmarkWalk(b *testing.B) {
	arch := newBuilder(b)
	for range 1000 {
		arch.data(10)
	}
	for name, hint := range map[string]*archive.Hint{"whole": nil, "hint": arch.end.Hint()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := arch.Walk(b.Context(), hint); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads a file of eight segments of the default size.
func BenchmarkRead(b *testing.B) {
	const segments = 8
	arch := newBuilder(b)
	raw := binlogLike(8 << 20)
	for range segments {
		seg := arch.segment(arch.end, int64(len(raw)))
		seg.Meta.BytesHash, seg.Frames = archive.Hash(raw), compressor.Compress(nil, raw)
		end, err := arch.Append(b.Context(), arch.end, seg)
		if err != nil {
			b.Fatal(err)
		}
		arch.end = end
	}
	b.SetBytes(segments * int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := arch.Open(b.Context(), archive.Newest, file(1))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
