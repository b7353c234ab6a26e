package binlog

import "encoding/binary"

// The types of those events that say something about files and transactions.
const (
	TypeQuery              = 2
	TypeStop               = 3
	TypeRotate             = 4
	TypeFormatDescription  = 15
	TypeXID                = 16
	TypeHeartbeat          = 27
	TypeGTID               = 33
	TypeAnonymousGTID      = 34
	TypePreviousGTIDs      = 35
	TypeXAPrepare          = 38
	TypeTransactionPayload = 40
	TypeHeartbeat2         = 41
	TypeTaggedGTID         = 42
	TypeMariaGTID          = 162
	TypeMariaGTIDList      = 163
	TypeMariaQueryPacked   = 165
)

// Sizes of an event's parts, in bytes.
const (
	HeaderSize   = 19 // since version 4 of the format
	ChecksumSize = 4
)

// Flags of an event.
const (
	// FlagInUse is set in the format description of a file that is being written.
	FlagInUse = 0x01
	// FlagArtificial marks an event that a server sends, and that stands in no file.
	FlagArtificial = 0x20
)

// Header is the common header of an event.
type Header struct {
	Time     uint32 // seconds since 1970, by the server's clock
	Type     byte
	ServerID uint32
	Size     uint32 // of the whole event, in bytes
	LogPos   uint32 // of the event's end in the file, modulo 2^32; 0 where the server does not say
	Flags    uint16
}

// Parse reads the header at the front of b, which has at least HeaderSize bytes.
func (h *Header) Parse(b []byte) {
	_ = b[HeaderSize-1]
	h.Time = binary.LittleEndian.Uint32(b)
	h.Type = b[4]
	h.ServerID = binary.LittleEndian.Uint32(b[5:])
	h.Size = binary.LittleEndian.Uint32(b[9:])
	h.LogPos = binary.LittleEndian.Uint32(b[13:])
	h.Flags = binary.LittleEndian.Uint16(b[17:])
}

// ParseHeader returns the header at the front of b, which has at least HeaderSize bytes.
func ParseHeader(b []byte) *Header {
	h := new(Header)
	h.Parse(b)
	return h
}
