package binlog

import (
	"encoding/binary"
	"math/bits"

	"binkeeper/internal/gtid"
)

// transaction is one GTID. It has no number when the source logs anonymously.
type transaction struct {
	sid    [16]byte
	tag    [32]byte
	tagLen int
	number uint64 // MySQL's, or MariaDB's sequence number
	domain uint32
	server uint32
}

const errShortGTID = gtidError("GTID event is too short")

type gtidError string

func (e gtidError) Error() string { return string(e) }

// parseTagged reads a tagged GTID event of MySQL 8.3 and later: integers of
// variable size for version, size, and last needed field; then fields, each with
// its number first. 0 is the flags, 1 the UUID's 16 bytes as integers, 2 the number,
// signed, 3 the tag with its length first. Those beyond are not needed.
func (id *transaction) parseTagged(body []byte) error {
	b, ok := body, true
	next := func() (n uint64) {
		if ok {
			n, b, ok = varInt(b)
		}
		return n
	}
	next()
	next()
	next()
	for ok && len(b) > 0 {
		switch field := next(); field {
		case 0:
			next()
		case 1:
			for i := range id.sid {
				id.sid[i] = byte(next())
			}
		case 2:
			id.number = next() >> 1 // the lowest bit is the sign
		case 3:
			size := next()
			if !ok || size > uint64(min(len(b), len(id.tag))) {
				return errShortGTID
			}
			id.tagLen = copy(id.tag[:], b[:size])
			return nil
		default:
			ok = false
		}
	}
	return errShortGTID
}

// varInt reads an integer of MySQL's serialization library: as many one bits as
// bytes follow the first, a zero, then the value, little-endian.
func varInt(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	more := bits.TrailingZeros8(^b[0])
	if len(b) < 1+more {
		return 0, nil, false
	}
	var wide [8]byte
	if more == 8 {
		return binary.LittleEndian.Uint64(b[1:]), b[9:], true
	}
	copy(wide[:], b[:1+more])
	return binary.LittleEndian.Uint64(wide[:]) >> (more + 1), b[1+more:], true
}

// addTo adds the transaction to the set, unless it is anonymous.
func (id *transaction) addTo(set *gtid.Set, flavor gtid.Flavor) {
	switch {
	case id.number == 0:
	case flavor == gtid.MariaDB:
		set.AddMariaDB(id.domain, id.server, id.number)
	default:
		set.AddMySQL(id.sid, string(id.tag[:id.tagLen]), int64(id.number))
	}
}
