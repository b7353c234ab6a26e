package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// Stream is a running dump: the events of a source's files, in order and checked,
// from where Dump began. Reading slower than the source writes holds the source's
// dump thread back, and nothing else.
type Stream struct {
	ctx     context.Context // Dump's: its end is the stream's
	release func() error    // ends the watch over ctx
	packets packetReader
	err     error         // what ended the stream
	arrived *atomic.Int64 // as Options has it
	// together is Options', too.
	together int64

	flavor  gtid.Flavor
	file    string
	offset  int64  // the end of the last event, in bytes
	from    int64  // where the server was asked to start
	named   bool   // the first artificial rotate has come
	formed  bool   // the file's format description has come
	crc     bool   // the file's events carry checksums
	ended   string // the file that a rotate event has named, until it begins
	large   largeEvent
	tracker binlog.Tracker
	header  binlog.Header // of the event that is checked
	event   Event         // what take has come to
}

// newStream returns a stream of file over conn, on which a dump from the offset
// from, at least 4, was just asked for.
func newStream(ctx context.Context, conn transport, flavor gtid.Flavor, file string, from int64, patience time.Duration) *Stream {
	s := &Stream{
		ctx: ctx, release: func() error { return nil }, flavor: flavor, file: file, from: from, offset: from,
		packets: packetReader{conn: conn, buf: make([]byte, readBufferSize), sequence: 1, patience: patience},
		tracker: binlog.NewTracker(flavor), arrived: new(atomic.Int64),
	}
	if from <= int64(len(binlog.Magic)) {
		s.offset = 0
	}
	return s
}

// File returns the name of the file that the stream is in.
func (s *Stream) File() string { return s.file }

// Offset returns the end of the last event handed out, in bytes.
func (s *Stream) Offset() int64 { return s.offset }

// Open returns the GTID of the transaction that is open at Offset, or "" when none
// is or it has no GTID.
func (s *Stream) Open() string { return s.tracker.OpenGTID() }

// TakeCompleted returns the transactions that were completed since the last call.
func (s *Stream) TakeCompleted() *gtid.Set { return s.tracker.TakeCompleted() }

// Previous returns what the current file says was executed before it: its
// previous-GTIDs event, or MariaDB's GTID list. It is false until that has been
// read, which never happens in a file that the stream began past it.
func (s *Stream) Previous() (*gtid.Set, bool) {
	return s.tracker.Previous(), s.tracker.Previous() != nil
}

// Close closes the connection, which ends a Next that waits for it.
func (s *Stream) Close() error {
	_ = s.release()
	return s.packets.conn.Close()
}

// Next appends the bytes of the next event to buf, and describes it. It allocates
// nothing when buf has room; the Event holds until the next call. When until,
// unless zero, passes before the event is complete, Next returns buf as it is and
// ErrNotYet; what has come of the event is kept. So it does where Options.Together
// says so. Every other error ends the stream, and nothing was appended: ErrSilent,
// ErrEvicted, ErrFileNotFound, ErrPastEnd, ErrTorn, *GTIDModeError, *CorruptError, the cause of the end of
// Dump's context, or one that means that the connection is gone.
func (s *Stream) Next(buf []byte, until time.Time) ([]byte, *Event, error) {
	for {
		out, err := s.advance(buf, until)
		if err != nil {
			return out, nil, err
		}
		if s.event.Kind != turned && s.event.Kind != skipped {
			return out, &s.event, nil
		}
	}
}

// advance takes one packet, or one event of many packets. What it has come to is in
// s.event.
func (s *Stream) advance(buf []byte, until time.Time) ([]byte, error) {
	if s.err != nil {
		return buf, s.err
	}
	out, err := s.take(buf, until)
	if err == nil {
		return out, nil
	}
	if !errors.Is(err, ErrNotYet) {
		err = s.end(err)
	}
	return buf, err
}

// end closes the connection, and says what has ended the stream.
func (s *Stream) end(err error) error {
	if ended := context.Cause(s.ctx); ended != nil {
		err = ended
	} else if errors.Is(err, io.EOF) {
		err = fmt.Errorf("read %s after offset %d: the source has closed the connection: %w", s.file, s.offset, io.ErrUnexpectedEOF)
	} else if errors.Is(err, errUnreadable) {
		err = s.corrupt("%v", err)
	} else if corrupt := (*CorruptError)(nil); !errors.As(err, &corrupt) {
		err = fmt.Errorf("read %s after offset %d: %w", s.file, s.offset, err)
	}
	s.err = err
	_ = s.packets.conn.Close()
	return err
}

func (s *Stream) corrupt(format string, args ...any) error {
	return &CorruptError{File: s.file, Offset: s.offset, Problem: fmt.Sprintf(format, args...)}
}

// take reads a packet and checks what is in it. A packet that fits the read buffer
// is checked in place, and copied once.
func (s *Stream) take(buf []byte, until time.Time) ([]byte, error) {
	p := &s.packets
	if s.large.active {
		return s.takeLarge(buf, until)
	}
	if err := p.need(packetHeaderSize, until); err != nil {
		return buf, err
	}
	size, inSequence := p.size()
	if !inSequence {
		return buf, s.corrupt("packet %d where %d is due", p.buffered()[3], p.sequence)
	}
	if packetHeaderSize+size > len(p.buf) {
		return s.startLarge(buf, size, until)
	}
	if err := p.need(packetHeaderSize+size, until); err != nil {
		return buf, err
	}
	payload := p.buffered()[packetHeaderSize:][:size]
	p.skip(packetHeaderSize + size)
	p.sequence++
	if size == 0 || payload[0] != 0 {
		return buf, s.refusal(payload)
	}
	if err := s.check(payload[1:]); err != nil || s.event.Kind != Data {
		return buf, err
	}
	if s.event.Start == 0 {
		buf = append(buf, binlog.Magic[:]...)
	}
	return append(buf, payload[1:]...), nil
}

// refusal says what a packet means that holds no event.
func (s *Stream) refusal(payload []byte) error {
	switch {
	case len(payload) >= 3 && payload[0] == 0xff:
		return dumpError(binary.LittleEndian.Uint16(payload[1:]), errorMessage(payload[3:]))
	case len(payload) > 0 && len(payload) < 9 && payload[0] == 0xfe:
		return errors.New("the source has ended the dump")
	}
	return s.corrupt("packet of %d bytes holds no event", len(payload))
}

// maxEvent is the size, in bytes, of the largest event that a server sends: of the
// largest packet that one may be set to, and what an event has besides.
const maxEvent = 1<<30 + 64<<10

// largeEvent is an event larger than the read buffer, of one packet or more, that
// has come in part.
type largeEvent struct {
	active bool
	size   int    // of the event, in bytes
	left   int    // what has not come of the current packet, in bytes
	last   bool   // the current packet is the last one
	kept   []byte // what has come of it, once a Next has returned ErrNotYet
}

// startLarge begins with an event whose first packet has a payload of size bytes.
func (s *Stream) startLarge(buf []byte, size int, until time.Time) ([]byte, error) {
	p := &s.packets
	const front = packetHeaderSize + 1 + binlog.HeaderSize
	if err := p.need(front, until); err != nil {
		return buf, err
	}
	b := p.buffered()[packetHeaderSize:front]
	h := binlog.ParseHeader(b[1:])
	last := size < maxPacket
	if b[0] != 0 || last && int(h.Size) != size-1 || int(h.Size) < size-1 {
		return buf, s.corrupt("packet of %d bytes holds an event of %d", size, h.Size)
	}
	if h.Size > maxEvent {
		return buf, s.corrupt("an event of %d bytes, and no server sends more than %d", h.Size, maxEvent)
	}
	p.skip(packetHeaderSize + 1)
	p.sequence++
	s.large = largeEvent{active: true, size: int(h.Size), left: size - 1, last: last}
	if s.together > 0 && int64(len(buf))+int64(h.Size) > s.together && len(buf) > len(p.buf) {
		return buf, ErrNotYet
	}
	return s.takeLarge(buf, until)
}

// takeLarge reads the event straight into the caller's buffer. From the first time
// that it is not complete in time, it is put together in one of its own.
func (s *Stream) takeLarge(buf []byte, until time.Time) ([]byte, error) {
	l := &s.large
	into, start := buf, len(buf)
	if l.kept != nil {
		into, start = l.kept, 0
	}
	into, err := s.assemble(into, start, until)
	if err != nil {
		if l.kept == nil {
			into = append([]byte{}, into[start:]...)
		}
		l.kept = into
		return buf, err
	}
	err = s.check(into[start:])
	own := l.kept != nil
	*l = largeEvent{}
	switch {
	case err != nil || s.event.Kind != Data:
		return buf, err
	case own:
		return append(buf, into...), nil
	}
	return into, nil
}

// assemble appends what comes of the event, of which into[start:] has come.
func (s *Stream) assemble(into []byte, start int, until time.Time) ([]byte, error) {
	l := &s.large
	for len(into)-start < l.size || !l.last {
		var err error
		if l.left == 0 {
			err = s.nextPart(len(into)-start, until)
		} else {
			into, err = s.readPart(into, start, until)
		}
		if err != nil {
			return into, err
		}
	}
	return into, nil
}

// nextPart reads the header of the next packet of a large event of which have
// bytes have come. An event that fills its last packet has an empty one after it.
func (s *Stream) nextPart(have int, until time.Time) error {
	p, l := &s.packets, &s.large
	if err := p.need(packetHeaderSize, until); err != nil {
		return err
	}
	size, inSequence := p.size()
	l.last = size < maxPacket
	if rest := l.size - have; !inSequence || size > rest || l.last && size < rest {
		return s.corrupt("packet %d of %d bytes where %d of an event are due in packet %d", p.buffered()[3], size, rest, p.sequence)
	}
	p.skip(packetHeaderSize)
	p.sequence++
	l.left = size
	return nil
}

// readPart appends what comes of the current packet: the buffered bytes first, then
// from the connection without a detour. The event's size is only announced: memory is
// taken for one packet, and then for four times what has come.
func (s *Stream) readPart(out []byte, start int, until time.Time) ([]byte, error) {
	p, l := &s.packets, &s.large
	if have := len(out) - start; cap(out)-len(out) < l.left {
		room := min(l.size, max(maxPacket-1, 4*have))
		out = slices.Grow(out, room-have)
	}
	if p.r == p.w && l.left < len(p.buf)/2 {
		if err := p.need(1, until); err != nil {
			return out, err
		}
	}
	var n int
	var err error
	dst := out[len(out) : len(out)+l.left]
	if p.r < p.w {
		n = copy(dst, p.buffered())
		p.skip(n)
	} else {
		n, err = p.read(dst, until)
	}
	l.left -= n
	s.arrived.Add(int64(n))
	return out[:len(out)+n], err
}
