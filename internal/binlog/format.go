package binlog

import (
	"encoding/binary"
	"fmt"
)

// ParseFormat reads a whole format description event, and returns whether the events after it carry a checksum. Its
// body: 2 bytes version 4, 50 server version, 4 time, 1 size of event headers, one for each event type, 1 checksum
// algorithm (0 none, 1 CRC32), and always room for a checksum.
func ParseFormat(event []byte) (checksums bool, err error) {
	if len(event) < HeaderSize+2+50+4+1+1+ChecksumSize {
		return false, fmt.Errorf("format description of %d bytes", len(event))
	}
	body := event[HeaderSize:]
	version, size, algorithm := binary.LittleEndian.Uint16(body), body[56], body[len(body)-ChecksumSize-1]
	if version != 4 || size != HeaderSize || algorithm > 1 {
		return false, fmt.Errorf("format description of version %d, header size %d, checksum algorithm %d", version, size, algorithm)
	}
	return algorithm == 1, nil
}

// ParseRotate returns the file that a rotate event names, and the position in it. The body: 8 bytes the position, then
// the name.
func ParseRotate(body []byte) (file []byte, position uint64, err error) {
	if len(body) <= 8 {
		return nil, 0, fmt.Errorf("rotate event with a body of %d bytes", len(body))
	}
	return body[8:], binary.LittleEndian.Uint64(body), nil
}
