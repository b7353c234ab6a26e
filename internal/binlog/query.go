package binlog

import "encoding/binary"

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
