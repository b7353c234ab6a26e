package archive

import (
	"bytes"
	"testing"
)

// TestCompressorAfterAPanic gives a Compressor an encoder that panics: the next caller
// gets a whole one.
func TestCompressorAfterAPanic(t *testing.T) {
	c := &Compressor{idle: make(chan *encoder, 1)}
	c.idle <- new(encoder)
	raw := bytes.Repeat([]byte("an event"), 1000)
	compress := func() (frames []byte, panicked any) {
		defer func() { panicked = recover() }()
		return c.Compress(nil, raw), nil
	}
	if _, panicked := compress(); panicked == nil {
		t.Fatal("nothing struck")
	}
	frames, panicked := compress()
	if panicked != nil || len(frames) == 0 || len(frames) >= len(raw) {
		t.Errorf("%d bytes, panic %v", len(frames), panicked)
	}
}
