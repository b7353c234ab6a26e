package archive_test

import (
	"bytes"
	"errors"
	"testing"

	"binkeeper/archive"
)

func TestReadOverlap(t *testing.T) {
	tests := []struct {
		name     string
		build    func(*builder)
		from, to int64 // of the last file that has bytes
	}{
		{"the last segment", func(*builder) {}, 300, 330},
		{"a part of it", func(b *builder) { overlapping(b, 310, 360) }, 310, 360},
		{"of several segments", func(b *builder) { overlapping(b, 250, 360) }, 250, 360},
		{"from a segment's start", func(b *builder) { overlapping(b, 100, 360) }, 100, 360},
		{"the whole file", func(b *builder) { overlapping(b, 0, 360) }, 0, 360},
		{"of a file that was ended", func(b *builder) { overlapping(b, 250, 360); b.crash(file(2)) }, 250, 360},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t)
			b.data(100, 200, 30)
			tt.build(b)
			raw, err := b.ReadOverlap(t.Context(), b.end)
			if want := content(file(1), 0, 400)[tt.from:tt.to]; err != nil || !bytes.Equal(raw, want) {
				t.Errorf("%d bytes, %v, want %d", len(raw), err, len(want))
			}
		})
	}
}

// overlapping appends the segment [330, to) with an overlap from from.
func overlapping(b *builder, from, to int64) {
	seg := b.segment(b.end, to-330)
	seg.Meta.OverlapStart, seg.Meta.OverlapHash = from, archive.Hash(content(file(1), 0, to)[from:])
	b.append(seg)
}

// What is not the overlap is not handed out as one.
func TestReadOverlapDamaged(t *testing.T) {
	b := newBuilder(t)
	b.data(100, 200, 30)
	overlapping(b, 250, 360)
	b.remove(b.path(1, file(1), 300))
	mismatch := (*archive.MismatchError)(nil)
	if raw, err := b.ReadOverlap(t.Context(), b.end); !errors.As(err, &mismatch) {
		t.Errorf("%d bytes, %v, want a *MismatchError", len(raw), err)
	}
}
