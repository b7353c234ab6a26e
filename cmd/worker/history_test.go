//go:build integration

package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// A change is one that ZooKeeper made to a znode, as its transaction log has it: nothing that happened is missing there,
// however briefly it stood.
type change struct {
	zxid    int64
	session int64 // whose request it was
	at      time.Time
	path    string
	deleted bool
	data    []byte   // nil when deleted
	version int32    // of the data
	checks  []string // the paths that the same request has checked
}

// history reads all changes of the ensemble's first server, in their order.
func history(t *testing.T, dataDir string) []change {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dataDir, "version-2", "log.*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no transaction log in %s (%v)", dataDir, err)
	}
	var changes []change
	for _, name := range logs {
		found, err := parseLog(read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		changes = append(changes, found...)
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.zxid, b.zxid) })
	return changes
}

// parseLog reads a log: a header of 16 bytes, then for each transaction 8 bytes of checksum, 4 of size, the transaction
// and a byte 'B'. The rest is zeros, allocated in advance; a server that was killed leaves the last one in part.
func parseLog(log []byte) ([]change, error) {
	const header, frame = 16, 12
	if len(log) < header || string(log[:4]) != "ZKLG" {
		return nil, errors.New("not a transaction log")
	}
	var changes []change
	for log = log[header:]; len(log) > frame; {
		size := int(binary.BigEndian.Uint32(log[8:]))
		if size == 0 || len(log) < frame+size+1 || log[frame+size] != 'B' {
			break
		}
		found, err := parseTransaction(log[frame:][:size])
		if err != nil {
			return nil, err
		}
		changes = append(changes, found...)
		log = log[frame+size+1:]
	}
	return changes, nil
}

// The types of transactions that matter here.
const (
	txnCreate  = 1
	txnDelete  = 2
	txnSet     = 5
	txnCheck   = 13
	txnMulti   = 14
	txnCreate2 = 15
)

func parseTransaction(b []byte) ([]change, error) {
	r := &record{b: b}
	c := change{session: r.long()}
	r.int() // the request's number in its session
	c.zxid = r.long()
	c.at = time.UnixMilli(r.long())
	kind := r.int()
	if kind != txnMulti {
		changed, _ := r.change(c, kind)
		return changed, r.err
	}
	var changes []change
	var checks []string
	for n := r.int(); n > 0 && r.err == nil; n-- {
		kind := r.int()
		part := &record{b: r.buffer()}
		changed, checked := part.change(c, kind)
		changes, checks = append(changes, changed...), append(checks, checked...)
		r.err = errors.Join(r.err, part.err)
	}
	for i := range changes {
		changes[i].checks = checks
	}
	return changes, r.err
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

func (r *record) int() int32  { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *record) long() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

func (r *record) buffer() []byte {
	if size := r.int(); size > 0 {
		return r.take(int(size))
	}
	return []byte{}
}

// change reads what a transaction of a kind does: its change, or the path it checks.
func (r *record) change(c change, kind int32) (changed []change, checked []string) {
	switch kind {
	case txnCreate, txnCreate2:
		c.path, c.data = string(r.buffer()), r.buffer()
	case txnSet:
		c.path, c.data = string(r.buffer()), r.buffer()
		c.version = r.int()
	case txnDelete:
		c.path, c.deleted = string(r.buffer()), true
	case txnCheck:
		return nil, []string{string(r.buffer())}
	default: // of sessions, and those that failed
		return nil, nil
	}
	return []change{c}, nil
}

// checkHistory wants every change that a worker has made of lastCommit to be in order: terms only grow, each is of one
// session and one instance, which that session has made and every commit has checked; commits are numbered without
// gaps; and the position never goes back. What was written by hand is skipped: whatever it was, what a worker writes
// next goes on from what the last one wrote.
func (s *stage) checkHistory() {
	s.t.Helper()
	changes := history(s.t, s.zk.Servers()[0].DataDir())
	path := s.root + zkpaths.Checkpoint(task)
	owners := map[string]int64{} // who made them, by path
	sessions := map[int64]int64{}
	var before zkpaths.LastCommit
	var commits int
	for _, c := range changes {
		if !c.deleted {
			owners[c.path] = c.session
		}
		if c.path != path {
			continue
		}
		if c.session == s.hand.SessionID() || c.session == s.sess.ID() {
			continue
		}
		var now zkpaths.LastCommit
		if err := zkpaths.Decode(path, c.data, &now); err != nil || c.deleted {
			s.t.Errorf("history: a worker has made lastCommit unreadable: %q (%v)", c.data, err)
			continue
		}
		commits++
		if problem := s.outOfOrder(before, now); problem != "" {
			s.t.Errorf("history: version %d: %s\nbefore: %+v\nnow:    %+v", c.version, problem, before, now)
		}
		instance := s.root + zkpaths.Member(task, now.Instance)
		if owners[instance] != c.session || !slices.Contains(c.checks, instance) {
			s.t.Errorf("history: version %d is of session %#x, of instance %s of session %#x, and has checked %q", c.version, c.session, instance, owners[instance], c.checks)
		}
		if of, ok := sessions[now.Term]; ok && of != c.session {
			s.t.Errorf("history: version %d is of session %#x, in a term of session %#x", c.version, c.session, of)
		}
		sessions[now.Term], before = c.session, now
	}
	if commits == 0 {
		s.t.Error("history: nobody has ever committed")
	}
}

// outOfOrder says why now cannot follow before, or "".
func (s *stage) outOfOrder(before, now zkpaths.LastCommit) string {
	sameTerm := now.Term == before.Term
	switch {
	case now.Term < before.Term:
		return "the term has gone back"
	case sameTerm && now.Commit != before.Commit+1, !sameTerm && now.Commit != 0:
		return "a commit is missing, or one too many"
	case sameTerm && now.Instance != before.Instance:
		return "another instance commits in the term"
	case now.Timeline < before.Timeline:
		return "the timeline has gone back"
	case before.File == "" || now.Timeline > before.Timeline:
		return ""
	case now.File == "":
		return "the position is lost"
	}
	was, is := fileNumber(s.t, before.File), fileNumber(s.t, now.File)
	if is < was || is == was && now.Position < before.Position {
		return "the position has gone back"
	}
	return ""
}

func TestParseLogRefusesWhatIsNone(t *testing.T) {
	whole := append([]byte("ZKLG"), make([]byte, 40)...)
	tests := []struct {
		name string
		log  []byte
		fits bool
	}{
		{"empty", nil, false},
		{"snapshot", bytes.Replace(whole, []byte("ZKLG"), []byte("ZKSN"), 1), false},
		{"no transaction yet", whole, true},
	}
	for _, test := range tests {
		if _, err := parseLog(test.log); (err == nil) != test.fits {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
