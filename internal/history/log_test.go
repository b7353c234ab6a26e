package history

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// A writer encodes as ZooKeeper does.
type writer []byte

func (w *writer) int(n int32)  { *w = binary.BigEndian.AppendUint32(*w, uint32(n)) }
func (w *writer) long(n int64) { *w = binary.BigEndian.AppendUint64(*w, uint64(n)) }
func (w *writer) buffer(b string) {
	w.int(int32(len(b)))
	*w = append(*w, b...)
}

// body is what a change's transaction holds behind its type, and that type.
func body(c Change, create bool) (int32, writer) {
	var w writer
	w.buffer(c.Path)
	switch {
	case c.Deleted:
		return txnDelete, w
	case create:
		w.buffer(string(c.Data))
		w.int(1)
		w.int(31)
		w.buffer("world")
		w.buffer("anyone")
		w = append(w, map[bool]byte{true: 1}[c.Ephemeral])
		w.int(1)
		return txnCreate, w
	}
	w.buffer(string(c.Data))
	w.int(c.Version)
	return txnSet, w
}

// head is what every transaction begins with, its type included.
func head(c Change, kind int32) writer {
	var w writer
	w.long(c.Session)
	w.int(1)
	w.long(c.Zxid)
	w.long(c.At.UnixMilli())
	w.int(kind)
	return w
}

// single is the transaction of one change; one with checks is a Multi.
func single(c Change, create bool) writer {
	kind, b := body(c, create)
	if c.Checks == nil {
		return append(head(c, kind), b...)
	}
	w := head(c, txnMulti)
	w.int(int32(1 + len(c.Checks)))
	for _, path := range c.Checks {
		var check writer
		check.buffer(path)
		check.int(-1)
		w.int(txnCheck)
		w.buffer(string(check))
	}
	w.int(kind)
	w.buffer(string(b))
	return w
}

// aLog is a log of the transactions, with zeros behind.
func aLog(transactions ...writer) []byte {
	log := writer("ZKLG")
	log.int(2)
	log.long(0)
	for _, t := range transactions {
		log.long(0) // the checksum
		log.buffer(string(t))
		log = append(log, 'B')
	}
	return append(log, make([]byte, 100)...)
}

var at = time.UnixMilli(1_700_000_000_000)

func TestParseLog(t *testing.T) {
	created := Change{Zxid: 1, Session: 7, At: at, Path: "/workers/server_1", Ephemeral: true, Data: []byte("{}")}
	set := Change{Zxid: 2, Session: 7, At: at, Path: "/tasks/a/lastCommit", Data: []byte("x"), Version: 3, Checks: []string{"/tasks/a/instance/server_1_0"}}
	gone := Change{Zxid: 3, Session: 8, At: at, Path: "/tasks/a", Deleted: true}
	closing := Change{Zxid: 4, Session: 7, At: at, Path: created.Path, Deleted: true}
	end := head(closing, txnCloseSess)
	end.int(1)
	end.buffer(closing.Path)
	failed := head(set, txnMulti)
	failed.int(2)
	kind, made := body(set, true)
	failed.int(kind)
	failed.buffer(string(made))
	failed.int(txnError)
	failed.buffer("\xff\xff\xff\x9b") // no node
	whole := aLog(single(created, true), single(set, false), failed, single(gone, false), end)
	tests := []struct {
		name    string
		log     []byte
		want    []Change
		wantErr bool
	}{
		{name: "all kinds", log: whole, want: []Change{created, set, gone, closing}},
		{name: "cut off in the last one", log: whole[:len(whole)-110], want: []Change{created, set, gone}},
		{name: "none yet", log: aLog()},
		{name: "empty", log: nil},
		{name: "a snapshot", log: append([]byte("ZKSN"), make([]byte, 40)...), wantErr: true},
		{name: "a field longer than all", log: aLog(append(head(set, txnSet), 0, 0, 1, 0)), wantErr: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, err := parseLog(test.log)
			var got []Change
			for _, transaction := range found {
				got = append(got, transaction.changes...)
			}
			if (err != nil) != test.wantErr || !reflect.DeepEqual(got, test.want) {
				t.Errorf("parseLog = %+v, %v, want %+v, error %t", got, err, test.want, test.wantErr)
			}
		})
	}
}

func TestReadTakesWhatMostServersHave(t *testing.T) {
	change := func(zxid int64) writer {
		return single(Change{Zxid: zxid, At: at, Path: "/p", Data: []byte{}}, false)
	}
	write := func(logs ...[]byte) string {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "version-2"), 0o755); err != nil {
			t.Fatal(err)
		}
		for n, log := range logs {
			if err := os.WriteFile(filepath.Join(dir, "version-2", "log."+string(rune('1'+n))), log, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	one, two := write(aLog(change(1), change(2)), aLog(change(2), change(4))), write(aLog(change(1), change(3), change(4)))
	three := write(aLog(change(3)), nil)
	tests := []struct {
		name string
		dirs []string
		want []int64
	}{
		{"an ensemble, whose servers each lack some", []string{one, two, three}, []int64{1, 3, 4}},
		{"a standalone server", []string{one}, []int64{1, 2, 4}},
	}
	for _, test := range tests {
		changes, err := Read(test.dirs...)
		var got []int64
		for _, c := range changes {
			got = append(got, c.Zxid)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: transactions %v, %v, want %v", test.name, got, err, test.want)
		}
	}
	if _, err := Read(one, t.TempDir()); err == nil {
		t.Error("a folder without a log is read without an error")
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add(aLog(single(Change{Path: "/p", Data: []byte("x"), Ephemeral: true}, true), single(Change{Path: "/p", Deleted: true, Checks: []string{"/q"}}, false)))
	f.Add([]byte("ZKLG"))
	f.Fuzz(func(t *testing.T, log []byte) {
		found, err := parseLog(log)
		if err == nil && len(found)*12 > len(log) {
			t.Errorf("%d transactions in %d bytes", len(found), len(log))
		}
	})
}

// What was logged and forgotten again is no change: its version comes a second time.
func TestWithoutForgotten(t *testing.T) {
	set := func(path string, zxid int64, version int32) Change {
		return Change{Zxid: zxid, Path: path, Version: version}
	}
	changes := []Change{
		set("/a", 1, 0), set("/a", 2, 1), set("/b", 3, 0), set("/a", 4, 2), set("/a", 5, 3), set("/b", 6, 1),
		set("/a", 7, 2), set("/b", 8, 2), // /a forgot 4 and 5
		{Zxid: 9, Path: "/a", Deleted: true}, set("/a", 10, 0), set("/a", 11, 1), // made anew
	}
	var got []int64
	for _, c := range withoutForgotten(changes) {
		got = append(got, c.Zxid)
	}
	if want := []int64{1, 2, 3, 6, 7, 8, 9, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}
