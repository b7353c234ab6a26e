package source

import (
	"encoding/binary"
	"math/bits"

	"binkeeper/internal/gtid"
)

// tracker follows transactions through the events of a file: which is open, and
// which are complete. It sees events one by one and does no I/O.
//
// A GTID event opens a transaction. What completes it depends on how it goes on:
// an XID, XA PREPARE or transaction payload event; the statement COMMIT or
// ROLLBACK after a BEGIN; any statement without BEGIN (DDL, XA COMMIT). A MariaDB
// GTID event says itself whether it stands for BEGIN. Where none of it is seen, the
// next GTID event or the file's end completes it.
type tracker struct {
	flavor    gtid.Flavor
	open      bool // a transaction is open
	begun     bool // and a BEGIN was seen, so that statements do not complete it
	id        transaction
	text      string // the open transaction's GTID when only its text is known
	completed *gtid.Set
	previous  *gtid.Set // of the current file, once seen
	// sawBegin says that the tracker has seen a transaction begin, so that it
	// knows by itself what is open.
	sawBegin bool
}

// transaction is one GTID. It has no number when the source logs anonymously.
type transaction struct {
	sid    [16]byte
	tag    [32]byte
	tagLen int
	number uint64 // MySQL's, or MariaDB's sequence number
	domain uint32
	server uint32
}

func newTracker(flavor gtid.Flavor) tracker {
	return tracker{flavor: flavor, completed: gtid.New(flavor)}
}

// see takes the next event of the file. body is without header and checksum.
func (t *tracker) see(h *header, body []byte) (begins, completes bool, err error) {
	switch h.kind {
	case typeGTID, typeAnonymousGTID, typeTaggedGTID, typeMariaGTID:
		completes = t.open
		t.complete()
		return true, completes, t.begin(h, body)
	case typeXID, typeXAPrepare, typeTransactionPayload:
		t.complete()
		return false, true, nil
	case typeQuery, typeMariaQueryPacked:
		if completes = t.statementCompletes(h.kind, body); completes {
			t.complete()
		}
		return false, completes, nil
	case typeRotate, typeStop:
		completes = t.open
		t.complete()
		return false, completes, nil
	case typePreviousGTIDs:
		t.previous, err = gtid.DecodeMySQL(body)
		return false, false, err
	case typeMariaGTIDList:
		t.previous, err = gtid.DecodeMariaDBList(body)
		return false, false, err
	}
	return false, false, nil
}

// statementCompletes judges a query event by the statement's first words, as the
// servers write them.
func (t *tracker) statementCompletes(kind byte, body []byte) bool {
	if kind == typeMariaQueryPacked { // longer than any word of a transaction
		return !t.begun
	}
	text := queryText(body)
	switch {
	case string(text) == "BEGIN" || hasPrefix(text, "XA START"):
		t.begun = true
		return false
	case hasPrefix(text, "XA COMMIT"), hasPrefix(text, "XA ROLLBACK"):
		return true
	case t.begun:
		return string(text) == "COMMIT" || string(text) == "ROLLBACK"
	}
	return true
}

// begin reads a GTID event. The bodies, little-endian:
//
//	MySQL    1 byte flags, 16 the UUID, 8 the number
//	MariaDB  8 bytes the sequence number, 4 the domain, 1 flags; the server id is
//	         the header's
func (t *tracker) begin(h *header, body []byte) error {
	t.open, t.begun, t.sawBegin, t.text, t.id = true, false, true, "", transaction{}
	switch h.kind {
	case typeGTID:
		if len(body) < 25 {
			return errShortGTID
		}
		t.id.sid = [16]byte(body[1:])
		t.id.number = binary.LittleEndian.Uint64(body[17:])
	case typeTaggedGTID:
		return t.id.parseTagged(body)
	case typeMariaGTID:
		if len(body) < 13 {
			return errShortGTID
		}
		const standalone = 1
		t.id.number = binary.LittleEndian.Uint64(body)
		t.id.domain = binary.LittleEndian.Uint32(body[8:])
		t.id.server = h.serverID
		t.begun = body[12]&standalone == 0
	}
	return nil
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

// complete notes that the open transaction, if any, is whole.
func (t *tracker) complete() {
	if t.open {
		t.id.addTo(t.completed, t.flavor)
		if t.text != "" {
			if set, err := gtid.Parse(t.flavor, t.text); err == nil {
				t.completed.Union(set)
			}
		}
	}
	t.open, t.begun, t.text = false, false, ""
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

// openGTID returns the text of the open transaction's GTID, or "".
func (t *tracker) openGTID() string {
	switch {
	case !t.open || t.text != "" || t.id.number == 0:
		return t.text
	case t.flavor == gtid.MariaDB:
		return gtid.FormatMariaDB(t.id.domain, t.id.server, t.id.number)
	}
	return gtid.FormatMySQL(t.id.sid, string(t.id.tag[:t.id.tagLen]), int64(t.id.number))
}

// resume makes open, the GTID that the archive says is open, the open transaction,
// unless the tracker has seen for itself; and forgets what was completed before.
func (t *tracker) resume(open string) {
	t.completed.Reset()
	if t.sawBegin {
		return
	}
	t.open, t.begun, t.text, t.id = open != "", true, open, transaction{}
}

// newFile forgets what belongs to the file that has ended. A transaction that a
// crash cut off was never complete.
func (t *tracker) newFile() {
	t.open, t.begun, t.text, t.previous = false, false, "", nil
}

// takeCompleted returns the transactions completed since the last call.
func (t *tracker) takeCompleted() *gtid.Set {
	taken := t.completed
	t.completed = gtid.New(t.flavor)
	return taken
}
