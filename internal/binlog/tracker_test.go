package binlog

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"binkeeper/internal/gtid"
)

// testSID is a source's UUID, testUUID its text.
var testSID = [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

const testUUID = "aa010203-0405-0607-0809-0a0b0c0d0e0f"

func queryBody(text string) []byte {
	body := make([]byte, 13)
	body[8] = 4                                 // length of the database's name
	binary.LittleEndian.PutUint16(body[11:], 5) // of the status variables
	return append(body, "12345test\x00"+text...)
}

// step is one event for a Tracker.
type step struct {
	kind byte
	body []byte
}

func mysqlGTID(n uint64) step {
	body := append([]byte{1}, testSID[:]...)
	return step{TypeGTID, binary.LittleEndian.AppendUint64(body, n)}
}

func mariaGTID(seq uint64, flags byte) step {
	body := binary.LittleEndian.AppendUint64(nil, seq)
	return step{TypeMariaGTID, append(binary.LittleEndian.AppendUint32(body, 3), flags)}
}

func statement(text string) step { return step{TypeQuery, queryBody(text)} }

func TestTracker(t *testing.T) {
	anonymous := step{TypeAnonymousGTID, make([]byte, 25)}
	rows, xid := step{30, make([]byte, 9)}, step{TypeXID, make([]byte, 8)}
	tests := []struct {
		name   string
		flavor gtid.Flavor
		steps  []step
		marks  string // for each step: ( begins, ) completes, X both, . neither
		done   string // the numbers of the completed transactions
		open   string
	}{
		{"XID", gtid.MySQL, []step{mysqlGTID(1), statement("BEGIN"), rows, xid}, "(..)", "1", ""},
		{"COMMIT", gtid.MySQL, []step{mysqlGTID(1), statement("BEGIN"), rows, statement("COMMIT")}, "(..)", "1", ""},
		{"ROLLBACK", gtid.MySQL, []step{mysqlGTID(1), statement("BEGIN"), statement("ROLLBACK")}, "(.)", "1", ""},
		{"savepoint", gtid.MySQL, []step{mysqlGTID(1), statement("BEGIN"), statement("SAVEPOINT `s`"), statement("ROLLBACK TO `s`"), xid}, "(...)", "1", ""},
		{"statements", gtid.MySQL, []step{mysqlGTID(1), statement("BEGIN"), {5, nil}, statement("INSERT INTO t VALUES (1)"), xid}, "(...)", "1", ""},
		{"DDL", gtid.MySQL, []step{mysqlGTID(1), statement("CREATE TABLE beginning (a int)"), mysqlGTID(2), statement("DROP TABLE t")}, "()()", "1-2", ""},
		{"XA", gtid.MySQL, []step{mysqlGTID(1), statement("XA START X'78',X'',1"), rows, statement("XA END X'78',X'',1"), {TypeXAPrepare, make([]byte, 9)},
			mysqlGTID(2), statement("XA COMMIT X'78',X'',1")}, "(...)()", "1-2", ""},
		{"payload", gtid.MySQL, []step{mysqlGTID(1), {TypeTransactionPayload, make([]byte, 9)}}, "()", "1", ""},
		{"anonymous", gtid.MySQL, []step{anonymous, statement("BEGIN"), rows, xid}, "(..)", "", ""},
		{"no GTID events", gtid.MySQL, []step{statement("BEGIN"), rows, xid}, "..)", "", ""},
		{"unknown end", gtid.MySQL, []step{mysqlGTID(1), {26, nil}, mysqlGTID(2)}, "(.X", "1", testUUID + ":2"},
		{"rotate", gtid.MySQL, []step{mysqlGTID(1), {26, nil}, {TypeRotate, make([]byte, 9)}}, "(.)", "1", ""},
		{"short query", gtid.MySQL, []step{mysqlGTID(1), {TypeQuery, make([]byte, 5)}}, "()", "1", ""},
		{"tagged", gtid.MySQL, []step{taggedGTID(t), statement("BEGIN")}, "(.", "", "896e7882-18fe-11ef-ab88-22222d34d411:foobaz:1"},
		{"MariaDB", gtid.MariaDB, []step{mariaGTID(8, 0), rows, xid, mariaGTID(9, 0), rows, statement("COMMIT")}, "(.)(.)", "3-7-9", ""},
		{"MariaDB standalone", gtid.MariaDB, []step{mariaGTID(8, 1), {5, nil}, statement("CREATE TABLE t (a int)"), mariaGTID(9, 1)}, "(.)(", "3-7-8", "3-7-9"},
		{"MariaDB packed", gtid.MariaDB, []step{mariaGTID(8, 1), {TypeMariaQueryPacked, nil}, mariaGTID(9, 0), {TypeMariaQueryPacked, nil}, xid}, "()(.)", "3-7-9", ""},
		{"MariaDB XA", gtid.MariaDB, []step{mariaGTID(8, 0x40), statement("XA START X'78',X'',1"), rows, statement("XA END X'78',X'',1"), {TypeXAPrepare, nil},
			mariaGTID(9, 0x80), statement("XA COMMIT X'78',X'',1")}, "(...)()", "3-7-9", ""},
		{"MariaDB statement without BEGIN", gtid.MariaDB, []step{mariaGTID(8, 0), statement("CREATE TABLE t (a int)"), rows, statement("COMMIT")}, "(..)", "3-7-8", ""},
	}
	for _, tt := range tests {
		tracker := NewTracker(tt.flavor)
		marks := ""
		for _, step := range tt.steps {
			begins, completes, err := tracker.See(&Header{Type: step.kind, ServerID: 7}, step.body)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			marks += map[[2]bool]string{{false, false}: ".", {true, false}: "(", {false, true}: ")", {true, true}: "X"}[[2]bool{begins, completes}]
		}
		if marks != tt.marks {
			t.Errorf("%s: marks %s, want %s", tt.name, marks, tt.marks)
		}
		if got := strings.TrimPrefix(tracker.TakeCompleted().String(), testUUID+":"); got != tt.done {
			t.Errorf("%s: completed %q, want %q", tt.name, got, tt.done)
		}
		if got := tracker.OpenGTID(); got != tt.open {
			t.Errorf("%s: open %q, want %q", tt.name, got, tt.open)
		}
	}
}

// taggedHex is the body of a tagged GTID event of MySQL 9.
const taggedHex = "02760000020225" + "02dcf00902" + "30f90322bd03ad02210244445a68510322" + "0404060c666f6f62617a" + "08000a040c7f1583222d5c2e06104903" + "12c3020b"

func taggedGTID(t *testing.T) step {
	t.Helper()
	body, err := hex.DecodeString(taggedHex)
	if err != nil {
		t.Fatal(err)
	}
	return step{TypeTaggedGTID, body}
}

func TestTrackerResume(t *testing.T) {
	tests := []struct {
		name  string
		seen  []step // in the overlap
		after []step
		open  string // as the archive says
		want  string // completed
	}{
		{"mid transaction", []step{{30, nil}}, []step{statement("COMMIT")}, testUUID + ":5", testUUID + ":5"},
		{"statement in mid transaction", []step{{30, nil}}, []step{statement("DELETE FROM t")}, testUUID + ":5", ""},
		{"between transactions", []step{{TypeXID, nil}}, []step{mysqlGTID(6), statement("DROP TABLE t")}, "", testUUID + ":6"},
		{"right after the GTID", []step{mysqlGTID(5)}, []step{statement("DROP TABLE t")}, testUUID + ":5", testUUID + ":5"},
		{"seen complete", []step{mysqlGTID(4), statement("DROP TABLE t"), mysqlGTID(5)}, []step{statement("DROP TABLE t")}, testUUID + ":5", testUUID + ":5"},
		{"unreadable", nil, []step{{TypeXID, nil}}, "???", ""},
	}
	for _, tt := range tests {
		tracker := NewTracker(gtid.MySQL)
		for i, step := range append(tt.seen, tt.after...) {
			if i == len(tt.seen) {
				tracker.Resume(tt.open)
				if got := tracker.OpenGTID(); got != tt.open {
					t.Errorf("%s: open %q, want %q", tt.name, got, tt.open)
				}
			}
			if _, _, err := tracker.See(&Header{Type: step.kind}, step.body); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if got := tracker.TakeCompleted().String(); got != tt.want {
			t.Errorf("%s: completed %q, want %q", tt.name, got, tt.want)
		}
	}
}
