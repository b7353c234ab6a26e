package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A transaction is one entry of a log; those of sessions, and those that failed, change nothing.
type transaction struct {
	zxid    int64
	changes []Change
}

// parseLog reads a log of ZooKeeper 3.5 and later: a header of 16 bytes, then for each transaction 8 bytes of checksum,
// 4 of size, the transaction and a byte 'B'. The rest is zeros, allocated in advance; a server that was killed leaves the
// last one in part, or an empty file.
func parseLog(log []byte) ([]transaction, error) {
	const header, frame = 16, 12
	if len(log) == 0 {
		return nil, nil
	}
	if len(log) < header || string(log[:4]) != "ZKLG" {
		return nil, errors.New("not a transaction log")
	}
	var found []transaction
	for log = log[header:]; len(log) > frame; {
		size := int(binary.BigEndian.Uint32(log[8:]))
		if size == 0 || len(log) < frame+size+1 || log[frame+size] != 'B' {
			break
		}
		t, err := parseTransaction(log[frame:][:size])
		if err != nil {
			return nil, err
		}
		found = append(found, t)
		log = log[frame+size+1:]
	}
	return found, nil
}

// The types of transactions that matter here: ZooDefs.OpCode.
const (
	txnCreate    = 1
	txnDelete    = 2
	txnSet       = 5
	txnCheck     = 13
	txnMulti     = 14
	txnCreate2   = 15
	txnCloseSess = -11
	txnError     = -1
)

func parseTransaction(b []byte) (transaction, error) {
	r := &record{b: b}
	c := Change{Session: r.long()}
	r.int() // the request's number in its session
	c.Zxid = r.long()
	c.At = time.UnixMilli(r.long())
	t := transaction{zxid: c.Zxid}
	kind := r.int()
	if kind != txnMulti {
		t.changes, _ = r.change(c, kind)
		return t, r.err
	}
	var checks []string
	failed := false // a Multi that has failed is logged too, as far as it came
	for n := r.int(); n > 0 && r.err == nil; n-- {
		kind := r.int()
		failed = failed || kind == txnError
		part := &record{b: r.buffer()}
		changed, checked := part.change(c, kind)
		t.changes, checks = append(t.changes, changed...), append(checks, checked...)
		r.err = errors.Join(r.err, part.err)
	}
	if failed {
		t.changes = nil
	}
	for i := range t.changes {
		t.changes[i].Checks = checks
	}
	return t, r.err
}

// A record is read field by field, as ZooKeeper's own encoding has them: big-endian, texts and buffers with their size.
type record struct {
	b   []byte
	err error
}

func (r *record) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.b)) {
		r.err = fmt.Errorf("a field of %d bytes where %d are left", n, len(r.b))
	}
	if r.err != nil {
		return make([]byte, 8)
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *record) bool() bool  { return r.take(1)[0] != 0 }
func (r *record) int() int32  { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *record) long() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

func (r *record) buffer() []byte {
	if size := r.int(); size > 0 {
		return r.take(int(size))
	}
	return []byte{}
}

// change reads what a transaction of a kind does: its changes, or the path it checks.
func (r *record) change(c Change, kind int32) (changed []Change, checked []string) {
	switch kind {
	case txnCreate, txnCreate2:
		c.Path, c.Data = string(r.buffer()), r.buffer()
		for n := r.int(); n > 0 && r.err == nil; n-- { // who may do what: rights, scheme, name
			r.int()
			r.buffer()
			r.buffer()
		}
		c.Ephemeral = r.bool()
	case txnSet:
		c.Path, c.Data = string(r.buffer()), r.buffer()
		c.Version = r.int()
	case txnDelete:
		c.Path, c.Deleted = string(r.buffer()), true
	case txnCheck:
		return nil, []string{string(r.buffer())}
	case txnCloseSess:
		if len(r.b) == 0 { // as servers before 3.6 log it
			return nil, nil
		}
		for n := r.int(); n > 0 && r.err == nil; n-- {
			c.Path, c.Deleted = string(r.buffer()), true
			changed = append(changed, c)
		}
		return changed, nil
	default: // begins of sessions, and those that failed
		return nil, nil
	}
	return []Change{c}, nil
}
