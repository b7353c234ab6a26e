package source

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"testing"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// tape is a transport that plays what was recorded: bytes, and pauses in which the
// read deadline passes. At its end the source closes the connection.
type tape struct {
	pieces [][]byte // nil: a pause
	closed bool
}

func (p *tape) Read(b []byte) (int, error) {
	for len(p.pieces) > 0 {
		piece := p.pieces[0]
		if piece == nil {
			p.pieces = p.pieces[1:]
			return 0, os.ErrDeadlineExceeded
		}
		if len(piece) == 0 {
			p.pieces = p.pieces[1:]
			continue
		}
		n := copy(b, piece)
		p.pieces[0] = piece[n:]
		return n, nil
	}
	return 0, io.EOF
}

func (p *tape) SetReadDeadline(time.Time) error { return nil }
func (p *tape) Close() error                    { p.closed = true; return nil }

// recorder makes the packets of a dump by hand, and the file that they are of.
type recorder struct {
	flavor   gtid.Flavor
	crc      bool
	zeroPos  bool // events say 0 for their position, as MariaDB's may
	file     string
	offset   int64
	sequence byte
	packets  []byte // what the source sends
	bytes    []byte // what is in the file
	maxSize  int    // of a packet's payload
}

func record(flavor gtid.Flavor) *recorder {
	return &recorder{flavor: flavor, crc: true, file: "mysql-bin.000001", sequence: 1, maxSize: maxPacket}
}

// packet sends payload, split where a packet is full.
func (r *recorder) packet(payload []byte) {
	for full := true; full; {
		size := min(len(payload), r.maxSize)
		full = size == r.maxSize
		r.packets = append(r.packets, byte(size), byte(size>>8), byte(size>>16), r.sequence)
		r.packets = append(r.packets, payload[:size]...)
		r.sequence++
		payload = payload[size:]
	}
}

// build makes an event whose position is what is given.
func (r *recorder) build(kind byte, flags uint16, logPos uint32, body []byte, crc bool) []byte {
	size := binlog.HeaderSize + len(body)
	if crc {
		size += binlog.ChecksumSize
	}
	b := binary.LittleEndian.AppendUint32(nil, 1700000000)
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, logPos)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = append(b, body...)
	if crc {
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	return b
}

func (r *recorder) send(event []byte) { r.packet(append([]byte{0}, event...)) }

// announce sends the first packet of an event that says it has size bytes.
func (r *recorder) announce(size uint32) *recorder {
	event := r.build(30, 0, uint32(r.offset)+size, make([]byte, maxPacket-1-binlog.HeaderSize), false)
	binary.LittleEndian.PutUint32(event[9:], size)
	r.packet(append([]byte{0}, event...))
	r.packets, r.sequence = r.packets[:len(r.packets)-packetHeaderSize], r.sequence-1 // which is not its last one
	return r
}

// event sends an event of the file.
func (r *recorder) event(kind byte, body []byte) *recorder {
	size := binlog.HeaderSize + len(body)
	if r.crc || kind == binlog.TypeFormatDescription {
		size += binlog.ChecksumSize
	}
	logPos := uint32(r.offset + int64(size))
	if r.zeroPos {
		logPos = 0
	}
	event := r.build(kind, 0, logPos, body, r.crc || kind == binlog.TypeFormatDescription)
	r.bytes = append(r.bytes, event...)
	r.offset += int64(size)
	r.send(event)
	return r
}

// artificial sends the rotate event that names a file, from the offset at.
func (r *recorder) artificial(file string, at int64) *recorder {
	body := append(binary.LittleEndian.AppendUint64(nil, uint64(at)), file...)
	r.send(r.build(binlog.TypeRotate, binlog.FlagArtificial, 0, body, r.crc && len(r.bytes) > 0))
	return r
}

// start sends what a dump from the first event of the file begins with.
func (r *recorder) start(file string) *recorder {
	r.artificial(file, 4)
	r.file, r.offset = file, 4
	r.bytes = append(r.bytes, binlog.Magic[:]...)
	return r.event(binlog.TypeFormatDescription, r.format())
}

// resume sends what a dump from the middle of a file begins with.
func (r *recorder) resume(file string, at int64) *recorder {
	r.artificial(file, at)
	r.file, r.offset = file, at
	r.send(r.build(binlog.TypeFormatDescription, 0, 0, r.format(), true))
	return r
}

// format is the body of a format description, without the checksum.
func (r *recorder) format() []byte {
	body := binary.LittleEndian.AppendUint16(nil, 4)
	body = append(body, make([]byte, 50+4)...)
	body = append(body, binlog.HeaderSize)
	body = append(body, make([]byte, 41)...)
	if r.crc {
		return append(body, 1)
	}
	return append(body, 0)
}

func (r *recorder) heartbeat(at int64) *recorder {
	r.send(r.build(binlog.TypeHeartbeat, 0, uint32(at), []byte(r.file), r.crc))
	return r
}

func (r *recorder) rotate(next string) *recorder {
	return r.event(binlog.TypeRotate, append(binary.LittleEndian.AppendUint64(nil, 4), next...))
}

// refuse sends an error packet.
func (r *recorder) refuse(code uint16, message string) *recorder {
	r.packet(append(append(binary.LittleEndian.AppendUint16([]byte{0xff}, code), "#HY000"...), message...))
	return r
}

var testSID = [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

const testUUID = "aa010203-0405-0607-0809-0a0b0c0d0e0f"

// gtid sends a GTID event of MySQL.
func (r *recorder) gtid(n uint64) *recorder {
	body := append([]byte{1}, testSID[:]...)
	return r.event(binlog.TypeGTID, append(binary.LittleEndian.AppendUint64(body, n), make([]byte, 17)...))
}

func queryBody(text string) []byte {
	body := make([]byte, 13)
	body[8] = 4                                 // length of the database's name
	binary.LittleEndian.PutUint16(body[11:], 5) // of the status variables
	return append(body, "12345test\x00"+text...)
}

func (r *recorder) query(text string) *recorder { return r.event(binlog.TypeQuery, queryBody(text)) }

// transaction sends a small transaction.
func (r *recorder) transaction(n uint64) *recorder {
	return r.gtid(n).query("BEGIN").event(30, make([]byte, 40)).event(binlog.TypeXID, make([]byte, 8))
}

// stream returns a stream over what was recorded, in pieces of size bytes with a
// pause after each; 0: in one piece.
func (r *recorder) stream(t testing.TB, from int64, size int) (*Stream, *tape) {
	t.Helper()
	p := &tape{}
	for rest := r.packets; len(rest) > 0; {
		n := len(rest)
		if size > 0 {
			n = min(n, size)
		}
		p.pieces = append(p.pieces, rest[:n], nil)
		rest = rest[n:]
	}
	if size == 0 && len(p.pieces) > 0 {
		p.pieces = p.pieces[:len(p.pieces)-1]
	}
	return newStream(t.Context(), p, r.flavor, "mysql-bin.000001", from, 0), p
}

// until is a time that no test waits for: the tape decides what comes in time.
func until() time.Time { return time.Now().Add(time.Hour) }

// readAll reads data until the stream ends, and returns it with the kinds of what
// else there was.
func readAll(t testing.TB, s *Stream) (data []byte, events []Event, err error) {
	t.Helper()
	for {
		before := len(data)
		var event *Event
		data, event, err = s.Next(data, until())
		switch {
		case err == ErrNotYet:
			if len(data) != before {
				t.Fatalf("ErrNotYet changed the buffer from %d to %d bytes", before, len(data))
			}
		case err != nil:
			return data, events, err
		default:
			if event.Kind != Data && len(data) != before {
				t.Fatalf("kind %d changed the buffer", event.Kind)
			}
			events = append(events, *event)
		}
	}
}

func equalBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes that differ from the %d wanted", what, len(got), len(want))
	}
}
