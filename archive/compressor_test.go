package archive_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"binkeeper/archive"
)

// TestCompressorChoice reads back what it makes of bytes for which either encoder is the
// right one, behind what stands in the buffer already.
func TestCompressorChoice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var orders []byte
	for len(orders) < 1<<20 {
		orders = fmt.Appendf(orders, `{"customer":"%08x","sku":"%012x","price":%d}`, random.Uint32(), random.Uint64()>>16, random.IntN(500))
	}
	records := bytes.Repeat([]byte("a row that is like the one before, but for its number: "), 20_000)
	for i := 50; i < len(records); i += 55 {
		records[i] = noise[i%len(noise)]
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c := archive.NewCompressor()
	for _, test := range []struct {
		name string
		raw  []byte
		most int
	}{
		{"nothing", nil, 0},
		{"short", []byte("abcabcabcabc"), 40},
		{"noise is stored as it is", noise, len(noise) + 200},
		{"digits need entropy coding", orders, len(orders) / 3},
		{"records need matches", records, len(records) / 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, room := range []int{0, 1 << 21} {
				before := append(make([]byte, 0, room), "before"...)
				out := c.Compress(before, test.raw)
				frames, ok := bytes.CutPrefix(out, []byte("before"))
				if !ok || len(frames) > test.most {
					t.Errorf("%d bytes of %d, want at most %d behind what was there", len(frames), len(test.raw), test.most)
				}
				got, err := dec.DecodeAll(frames, nil)
				if err != nil || !bytes.Equal(got, test.raw) {
					t.Errorf("other bytes come back: %v", err)
				}
			}
		})
	}
}

// TestCompressorChecksums damages every byte of the frames: the content checksum must
// be there, and fit.
func TestCompressorChecksums(t *testing.T) {
	raw := content(file(1), 0, 500)
	frames := archive.NewCompressor().Compress(nil, raw)
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var header zstd.Header
	if err := header.Decode(frames); err != nil || !header.HasCheckSum {
		t.Fatalf("the frame says %+v, %v, want a checksum", header, err)
	}
	for i := range frames {
		damaged := bytes.Clone(frames)
		damaged[i] ^= 1 << (i % 8)
		if got, err := dec.DecodeAll(damaged, nil); err == nil && !bytes.Equal(got, raw) {
			t.Errorf("byte %d is damaged, and %d other bytes come back", i, len(got))
		}
	}
	if _, err := dec.DecodeAll(frames[:len(frames)-1], nil); err == nil {
		t.Error("a frame without the last byte of its checksum is read")
	}
}
