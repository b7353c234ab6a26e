package binlog

import (
	"encoding/hex"
	"testing"

	"binkeeper/internal/gtid"
)

func FuzzTracker(f *testing.F) {
	tagged, _ := hex.DecodeString(taggedHex)
	f.Add(byte(TypeTaggedGTID), tagged, false)
	f.Add(byte(TypeQuery), queryBody("BEGIN"), false)
	f.Add(byte(TypeGTID), mysqlGTID(5).body, false)
	f.Add(byte(TypeMariaGTID), mariaGTID(5, 1).body, true)
	f.Fuzz(func(t *testing.T, kind byte, body []byte, mariaDB bool) {
		flavor := gtid.MySQL
		if mariaDB {
			flavor = gtid.MariaDB
		}
		tracker := NewTracker(flavor)
		begins, _, err := tracker.See(&Header{Type: kind}, body)
		if open := tracker.OpenGTID(); open != "" && !begins || err != nil && tracker.Previous() != nil {
			t.Errorf("open %q, begins %v, %v", open, begins, err)
		}
		tracker.complete()
		_ = tracker.TakeCompleted().String()
	})
}

// FuzzEvent reads any bytes as one event.
func FuzzEvent(f *testing.F) {
	f.Add(append(make([]byte, HeaderSize), "\x04\x00\x00\x00\x00\x00\x00\x00mysql-bin.000002"...))
	f.Add(make([]byte, HeaderSize+120))
	f.Fuzz(func(t *testing.T, event []byte) {
		if len(event) < HeaderSize {
			return
		}
		h := ParseHeader(event)
		if _, err := ParseFormat(event); err == nil && len(event) < HeaderSize+57+ChecksumSize+1 {
			t.Errorf("a format description of %d bytes was read", len(event))
		}
		if file, _, err := ParseRotate(event[HeaderSize:]); err == nil && len(file) == 0 {
			t.Error("a rotate event names no file, and that is no error")
		}
		if ChecksumFits(event, h) && len(event) < HeaderSize+ChecksumSize {
			t.Errorf("a checksum in an event of %d bytes", len(event))
		}
	})
}
