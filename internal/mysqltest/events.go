package mysqltest

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"time"

	"binkeeper/internal/binlog"
)

// The types of the events that a source writes.
const (
	eventQuery    = binlog.TypeQuery
	eventStop     = binlog.TypeStop
	eventRotate   = binlog.TypeRotate
	eventFormat   = binlog.TypeFormatDescription
	eventXID      = binlog.TypeXID
	eventRows     = 30
	eventGTID     = binlog.TypeGTID
	eventPrevious = binlog.TypePreviousGTIDs
)

var magic = binlog.Magic[:]

// build makes an event of a server's that ends at logPos.
func build(serverID uint32, kind byte, flags uint16, logPos uint32, body []byte) []byte {
	size := binlog.HeaderSize + len(body) + binlog.ChecksumSize
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, size), uint32(time.Now().Unix()))
	if flags&binlog.FlagArtificial != 0 {
		clear(b)
	}
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, serverID)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, logPos)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// append writes an event at the end of the newest file.
func (s *Source) append(kind byte, body []byte) {
	f := s.newest()
	end := len(f.data) + binlog.HeaderSize + len(body) + binlog.ChecksumSize
	f.data = append(f.data, build(s.who.ServerID, kind, 0, uint32(end), body)...)
}

func formatBody() []byte {
	body := binary.LittleEndian.AppendUint16(nil, 4)
	body = append(body, "9.7.4"+strings.Repeat("\x00", 45)...)
	body = append(body, 0, 0, 0, 0, binlog.HeaderSize)
	body = append(body, make([]byte, 41)...)
	return append(body, 1) // CRC32
}

func rotateBody(next string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, binlog.MagicSize), next...)
}

func queryBody(text string) []byte {
	body := make([]byte, 13)
	body[8] = 4 // the length of the database's name
	return append(body, "shop\x00"+text...)
}

func (s *Source) sid() []byte {
	sid, err := hex.DecodeString(strings.ReplaceAll(s.who.UUID, "-", ""))
	if err != nil || len(sid) != 16 {
		panic("not a UUID: " + s.who.UUID)
	}
	return sid
}

// gtidBody is that of a GTID event, or of an anonymous one: which of them it is, its type says.
func (s *Source) gtidBody(number int64) []byte {
	if s.noGTIDs {
		return make([]byte, 25+17)
	}
	body := append([]byte{1}, s.sid()...)
	body = binary.LittleEndian.AppendUint64(body, uint64(number))
	return append(body, make([]byte, 17)...)
}

// previousBody is that of the event behind a file's format description.
func (s *Source) previousBody() []byte {
	if s.executed == 0 || s.noGTIDs {
		return make([]byte, 8)
	}
	body := binary.LittleEndian.AppendUint64(nil, 1)
	body = append(body, s.sid()...)
	body = binary.LittleEndian.AppendUint64(body, 1)
	body = binary.LittleEndian.AppendUint64(body, 1)
	return binary.LittleEndian.AppendUint64(body, uint64(s.executed+1))
}

// filler is size bytes that compress a little, and differ with seed.
func filler(size int, seed int64) []byte {
	b := make([]byte, size)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x) & 0x3f
	}
	return b
}
