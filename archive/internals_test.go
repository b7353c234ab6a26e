package archive

import (
	"context"
	"io"
)

// What the tests outside of the package see of its inside.

func DecodeMeta(object []byte) (Meta, int64, error) {
	m, err := decodeMeta("object", object)
	if err != nil {
		return m, 0, err
	}
	size, err := frameSize(object)
	return m, size, err
}

func EncodeMeta(m Meta) ([]byte, error) { return m.frame() }

// ReadSegment returns the raw bytes of one segment.
func ReadSegment(ctx context.Context, store Store, object string) ([]byte, error) {
	m, frames, err := ReadMeta(ctx, store, object)
	if err != nil {
		return nil, err
	}
	r := newSegmentReader()
	defer r.close()
	if err := r.open(ctx, store, link{object, frames, m}); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
