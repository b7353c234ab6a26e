package gtid

import (
	"encoding/binary"
	"strings"
)

// DecodeMySQL reads the body of a previous-GTIDs event, without header and
// checksum, in either encoding:
//
//	classic  8 bytes the number of UUIDs, then for each: 16 bytes the UUID,
//	         8 bytes the number of intervals, 16 bytes each interval
//	tagged   (MySQL 8.3 and later) byte 0 and byte 7 are 1, bytes 1 to 6 the
//	         number of origins; each has, after the UUID, one byte twice the
//	         length of the tag, and the tag
//
// Numbers are little-endian; an interval is its first number and the one after
// its last.
func DecodeMySQL(body []byte) (*Set, error) {
	if len(body) < 8 {
		return nil, malformed("%d bytes", len(body))
	}
	count := binary.LittleEndian.Uint64(body)
	tagged := body[7] == 1
	if tagged {
		count = count << 8 >> 16
	}
	s, rest := New(MySQL), body[8:]
	for ; count > 0; count-- {
		var err error
		if rest, err = s.decodeOrigin(rest, tagged); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, malformed("%d bytes too many", len(rest))
	}
	return s, nil
}

// decodeOrigin adds one UUID, or UUID and tag, and returns what follows it.
func (s *Set) decodeOrigin(body []byte, tagged bool) ([]byte, error) {
	if len(body) < 16 {
		return nil, malformed("truncated in a UUID")
	}
	sid, tag := [16]byte(body), ""
	body = body[16:]
	if tagged {
		if len(body) == 0 || body[0]&1 != 0 || len(body) < 1+int(body[0]>>1) {
			return nil, malformed("truncated in a tag")
		}
		tag = string(body[1 : 1+body[0]>>1])
		body = body[1+len(tag):]
		if tag != "" && (!isTag(tag) || tag != strings.ToLower(tag)) {
			return nil, malformed("tag %q", tag)
		}
	}
	if len(body) < 8 {
		return nil, malformed("truncated in a number of intervals")
	}
	count := binary.LittleEndian.Uint64(body)
	body = body[8:]
	if count > uint64(len(body))/16 {
		return nil, malformed("truncated in the intervals")
	}
	for ; count > 0; count-- {
		run := interval{int64(binary.LittleEndian.Uint64(body)), int64(binary.LittleEndian.Uint64(body[8:])) - 1}
		if run.first < 1 || run.last < run.first || run.last > maxNumber {
			return nil, malformed("interval %d-%d", run.first, run.last)
		}
		s.of(sid, tag).add(run)
		body = body[16:]
	}
	return body, nil
}

// DecodeMariaDBList reads the body of a GTID list event, without header and
// checksum: 4 bytes with the number of elements in the low 28 bits, then for each
// element 4 bytes the domain, 4 bytes the server, 8 bytes the sequence number.
// The last element of a domain is its position, whichever its number.
func DecodeMariaDBList(body []byte) (*Set, error) {
	if len(body) < 4 {
		return nil, malformed("%d bytes", len(body))
	}
	count := binary.LittleEndian.Uint32(body) & (1<<28 - 1)
	body = body[4:]
	// An empty list is padded to the length of the old, shorter rotate event.
	if uint64(len(body)) < uint64(count)*16 || count > 0 && len(body) != int(count)*16 {
		return nil, malformed("%d elements in %d bytes", count, len(body))
	}
	s := New(MariaDB)
	for ; count > 0; count-- {
		s.domains[binary.LittleEndian.Uint32(body)] = position{
			server: binary.LittleEndian.Uint32(body[4:]),
			seq:    binary.LittleEndian.Uint64(body[8:]),
		}
		body = body[16:]
	}
	return s, nil
}
