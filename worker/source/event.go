package source

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Kind says what a Next has brought.
type Kind byte

const (
	// Data is an event of the file; its bytes were appended.
	Data Kind = iota
	// Heartbeat is word of an idle source: it has nothing beyond the stream's
	// offset. Nothing was appended.
	Heartbeat
	// FileEnd says that the source's file ends at the stream's offset without a
	// rotate event (a crash, or a stop event), and which file follows. Nothing
	// was appended.
	FileEnd

	// turned and skipped are for the stream alone: an artificial rotate after a
	// real one, and what is not in the file.
	turned
	skipped
)

// Event describes what Next has brought.
type Event struct {
	Kind Kind
	Type byte   // the event's type code, in the server's numbering
	Time uint32 // seconds since 1970, by the source's clock
	// Start and End are the event's offsets in the file, in bytes. The first
	// event of a file starts at 0: the four magic bytes are part of it.
	Start, End int64
	// NextFile is the file that follows, of a rotate event and a FileEnd.
	NextFile string
	// Begins marks the event that opens a transaction (its GTID event, with or
	// without a GTID), Completes the one that ends a transaction. An event that
	// does both shows that the transaction before it had ended at Start.
	Begins, Completes bool
}

// Event types that matter here; all others are copied unseen. From 160 on they are
// MariaDB's.
const (
	typeQuery              = 2
	typeStop               = 3
	typeRotate             = 4
	typeFormatDescription  = 15
	typeXID                = 16
	typeHeartbeat          = 27
	typeGTID               = 33
	typeAnonymousGTID      = 34
	typePreviousGTIDs      = 35
	typeXAPrepare          = 38
	typeTransactionPayload = 40
	typeHeartbeat2         = 41
	typeTaggedGTID         = 42
	typeMariaGTID          = 162
	typeMariaGTIDList      = 163
	typeMariaQueryPacked   = 165
)

const (
	headerSize     = 19 // bytes, since binlog version 4
	checksumSize   = 4
	flagInUse      = 0x01
	flagArtificial = 0x20
)

// magic stands at the start of every binlog file and is no event.
var magic = [4]byte{0xfe, 'b', 'i', 'n'}

// header is the common header of an event, little-endian: 4 bytes time, 1 type, 4
// server id, 4 size, 4 position of the next event, 2 flags.
type header struct {
	time     uint32
	kind     byte
	serverID uint32
	size     uint32
	logPos   uint32
	flags    uint16
}

// parse reads the header at the front of b.
func (h *header) parse(b []byte) {
	_ = b[headerSize-1]
	h.time = binary.LittleEndian.Uint32(b)
	h.kind = b[4]
	h.serverID = binary.LittleEndian.Uint32(b[5:])
	h.size = binary.LittleEndian.Uint32(b[9:])
	h.logPos = binary.LittleEndian.Uint32(b[13:])
	h.flags = binary.LittleEndian.Uint16(b[17:])
}

func parseHeader(b []byte) *header {
	h := new(header)
	h.parse(b)
	return h
}

// checksumFits reports whether the last 4 bytes of event are the CRC32 of the
// others. The in-use flag of a format description does not count.
func checksumFits(event []byte, h *header) bool {
	end := len(event) - checksumSize
	if end < headerSize {
		return false
	}
	want := binary.LittleEndian.Uint32(event[end:])
	if h.kind != typeFormatDescription || h.flags&flagInUse == 0 {
		return checksum(event[:end]) == want
	}
	masked := [headerSize]byte(event)
	masked[17] &^= flagInUse
	return crc32.Update(crc32.ChecksumIEEE(masked[:]), crc32.IEEETable, event[headerSize:end]) == want
}

// parseFormat reads a format description, and returns whether the events after it
// carry a checksum. Its body: 2 bytes version 4, 50 server version, 4 time, 1 size
// of event headers, one for each event type, 1 checksum algorithm (0 none, 1
// CRC32), and always room for a checksum.
func parseFormat(event []byte) (checksums bool, err error) {
	body := event[headerSize:]
	if len(body) < 2+50+4+1+1+checksumSize {
		return false, fmt.Errorf("format description of %d bytes", len(event))
	}
	version, size, algorithm := binary.LittleEndian.Uint16(body), body[56], body[len(body)-checksumSize-1]
	if version != 4 || size != headerSize || algorithm > 1 {
		return false, fmt.Errorf("format description of version %d, header size %d, checksum algorithm %d", version, size, algorithm)
	}
	return algorithm == 1, nil
}

// parseRotate returns the file that a rotate event names, and the position in it.
func parseRotate(body []byte) (file []byte, position uint64, err error) {
	if len(body) <= 8 {
		return nil, 0, fmt.Errorf("rotate event with a body of %d bytes", len(body))
	}
	return body[8:], binary.LittleEndian.Uint64(body), nil
}

// heartbeatAt reports whether a heartbeat stands for offset. Its header has the low
// 32 bits; of a farther one it is 0 and MariaDB puts 8 bytes into the body; type 41
// has (field, length, value) triples in its body, of which field 2 is the position.
func heartbeatAt(h *header, body []byte, offset int64) bool {
	if h.kind == typeHeartbeat2 {
		for len(body) > 0 {
			field, rest, ok := packedInt(body)
			if !ok || field == 0 {
				break
			}
			size, rest, ok := packedInt(rest)
			if !ok || size > uint64(len(rest)) {
				break
			}
			if at, _, ok := packedInt(rest[:size]); ok && field == 2 {
				return at == uint64(offset)
			}
			body = rest[size:]
		}
		return false
	}
	if h.logPos == 0 && offset > 0xffffffff && len(body) >= 8 {
		return binary.LittleEndian.Uint64(body) == uint64(offset)
	}
	return h.logPos == uint32(offset)
}

// packedInt reads the length-encoded integer of the client protocol.
func packedInt(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := 0
	switch b[0] {
	case 0xfb, 0xff:
		return 0, nil, false
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+size {
		return 0, nil, false
	}
	var wide [8]byte
	copy(wide[:], b[1:1+size])
	return binary.LittleEndian.Uint64(wide[:]), b[1+size:], true
}

// queryText returns the statement of a query event: 13 bytes (of which byte 8 is the
// length of the database's name and 11 and 12 that of the status variables), the
// variables, the name and a zero, the statement.
func queryText(body []byte) []byte {
	if len(body) < 13 {
		return nil
	}
	start := 13 + int(binary.LittleEndian.Uint16(body[11:])) + int(body[8]) + 1
	if start > len(body) {
		return nil
	}
	return body[start:]
}

// hasPrefix is strings.HasPrefix of bytes, without a copy.
func hasPrefix(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}
