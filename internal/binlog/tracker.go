package binlog

import (
	"encoding/binary"

	"binkeeper/internal/gtid"
)

// Tracker follows transactions through the events of a file: which is open, and
// which are complete. It sees events one by one and does no I/O.
//
// A GTID event opens a transaction. What completes it depends on how it goes on:
// an XID, XA PREPARE or transaction payload event; the statement COMMIT or
// ROLLBACK after a BEGIN; any statement without BEGIN (DDL, XA COMMIT). A MariaDB
// GTID event says itself whether it stands for BEGIN. Where none of it is seen, the
// next GTID event or the file's end completes it.
type Tracker struct {
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

// NewTracker returns a tracker that knows of no transaction.
func NewTracker(flavor gtid.Flavor) Tracker {
	return Tracker{flavor: flavor, completed: gtid.New(flavor)}
}

// See takes the next event of the file. body is without header and checksum.
func (t *Tracker) See(h *Header, body []byte) (begins, completes bool, err error) {
	switch h.Type {
	case TypeGTID, TypeAnonymousGTID, TypeTaggedGTID, TypeMariaGTID:
		completes = t.open
		t.complete()
		return true, completes, t.begin(h, body)
	case TypeXID, TypeXAPrepare, TypeTransactionPayload:
		t.complete()
		return false, true, nil
	case TypeQuery, TypeMariaQueryPacked:
		if completes = t.statementCompletes(h.Type, body); completes {
			t.complete()
		}
		return false, completes, nil
	case TypeRotate, TypeStop:
		completes = t.open
		t.complete()
		return false, completes, nil
	case TypePreviousGTIDs:
		t.previous, err = gtid.DecodeMySQL(body)
		return false, false, err
	case TypeMariaGTIDList:
		t.previous, err = gtid.DecodeMariaDBList(body)
		return false, false, err
	}
	return false, false, nil
}

// statementCompletes judges a query event by the statement's first words, as the
// servers write them.
func (t *Tracker) statementCompletes(kind byte, body []byte) bool {
	if kind == TypeMariaQueryPacked { // longer than any word of a transaction
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
func (t *Tracker) begin(h *Header, body []byte) error {
	t.open, t.begun, t.sawBegin, t.text, t.id = true, false, true, "", transaction{}
	switch h.Type {
	case TypeGTID:
		if len(body) < 25 {
			return errShortGTID
		}
		t.id.sid = [16]byte(body[1:])
		t.id.number = binary.LittleEndian.Uint64(body[17:])
	case TypeTaggedGTID:
		return t.id.parseTagged(body)
	case TypeMariaGTID:
		if len(body) < 13 {
			return errShortGTID
		}
		const standalone = 1
		t.id.number = binary.LittleEndian.Uint64(body)
		t.id.domain = binary.LittleEndian.Uint32(body[8:])
		t.id.server = h.ServerID
		t.begun = body[12]&standalone == 0
	}
	return nil
}

// complete notes that the open transaction, if any, is whole.
func (t *Tracker) complete() {
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

// OpenGTID returns the text of the open transaction's GTID, or "".
func (t *Tracker) OpenGTID() string {
	switch {
	case !t.open || t.text != "" || t.id.number == 0:
		return t.text
	case t.flavor == gtid.MariaDB:
		return gtid.FormatMariaDB(t.id.domain, t.id.server, t.id.number)
	}
	return gtid.FormatMySQL(t.id.sid, string(t.id.tag[:t.id.tagLen]), int64(t.id.number))
}

// Resume makes open, the GTID that the archive says is open, the open transaction,
// unless the tracker has seen for itself; and forgets what was completed before.
func (t *Tracker) Resume(open string) {
	t.completed.Reset()
	if t.sawBegin {
		return
	}
	t.open, t.begun, t.text, t.id = open != "", true, open, transaction{}
}

// NewFile forgets what belongs to the file that has ended. A transaction that a
// crash cut off was never complete.
func (t *Tracker) NewFile() {
	t.open, t.begun, t.text, t.previous = false, false, "", nil
}

// TakeCompleted returns the transactions completed since the last call.
func (t *Tracker) TakeCompleted() *gtid.Set {
	taken := t.completed
	t.completed = gtid.New(t.flavor)
	return taken
}

// Previous returns what the current file's previous-GTIDs event, or GTID list, says; nil before it was seen.
func (t *Tracker) Previous() *gtid.Set { return t.previous }
