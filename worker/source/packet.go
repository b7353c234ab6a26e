package source

import (
	"errors"
	"os"
	"time"
)

const (
	// readBufferSize is the size, in bytes, of the buffer between the connection
	// and the events: some thousand small events a system call.
	readBufferSize = 256 << 10
	// maxPacket is the size, in bytes, of a packet that says that its payload
	// goes on in the next one.
	maxPacket        = 1<<24 - 1
	packetHeaderSize = 4
)

// transport is what a stream reads: a network connection, or a test's.
type transport interface {
	// Read returns what there is. Past the read deadline it returns an error that
	// is os.ErrDeadlineExceeded, loses nothing, and may be called again.
	Read(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

// packetReader reads the packets of the client protocol: 3 bytes of payload size,
// little-endian, 1 byte of sequence number, the payload.
type packetReader struct {
	conn     transport
	buf      []byte
	r, w     int  // what was read and not taken is buf[r:w]
	sequence byte // of the next packet

	patience time.Duration // how long the peer may be silent; 0: for ever
	silence  time.Duration // how long reads have waited since the last byte
}

// buffered returns what was read and not taken.
func (p *packetReader) buffered() []byte { return p.buf[p.r:p.w] }

// need reads until n bytes, at most the size of the buffer, are buffered.
func (p *packetReader) need(n int, until time.Time) error {
	for p.w-p.r < n {
		if p.r > 0 && (p.r == p.w || p.r+n > len(p.buf)) {
			p.w = copy(p.buf, p.buf[p.r:p.w])
			p.r = 0
		}
		got, err := p.read(p.buf[p.w:], until)
		p.w += got
		if err != nil {
			return err
		}
	}
	return nil
}

// read does one read of the connection. It returns ErrNotYet when until passes
// first (zero: never), and ErrSilent when the peer's time is up. Only time spent
// waiting here counts as the peer's silence.
func (p *packetReader) read(dst []byte, until time.Time) (int, error) {
	start := time.Now()
	deadline := until
	if silent := start.Add(p.patience - p.silence); p.patience > 0 && (until.IsZero() || silent.Before(until)) {
		deadline = silent
	}
	if err := p.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := p.conn.Read(dst)
	if n > 0 {
		p.silence = 0
		return n, nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	if p.silence += time.Since(start); p.patience > 0 && (p.silence >= p.patience || until.IsZero()) {
		return 0, ErrSilent
	}
	return 0, ErrNotYet
}

// size returns the payload size that the packet header at the front of the buffer
// tells, and checks the packet's place in the sequence.
func (p *packetReader) size() (int, bool) {
	b := p.buffered()
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3] == p.sequence
}

// skip takes n bytes from the buffer.
func (p *packetReader) skip(n int) { p.r += n }
