package source

import (
	"encoding/binary"

	"binkeeper/internal/binlog"
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

// heartbeatAt reports whether a heartbeat stands for offset. Its header has the low
// 32 bits; of a farther one it is 0 and MariaDB puts 8 bytes into the body; type 41
// has (field, length, value) triples in its body, of which field 2 is the position.
func heartbeatAt(h *binlog.Header, body []byte, offset int64) bool {
	if h.Type == binlog.TypeHeartbeat2 {
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
	if h.LogPos == 0 && offset > 0xffffffff && len(body) >= 8 {
		return binary.LittleEndian.Uint64(body) == uint64(offset)
	}
	return h.LogPos == uint32(offset)
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
