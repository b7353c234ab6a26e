package source

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"testing"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// taggedHex is the body of a tagged GTID event of MySQL 9.
const taggedHex = "02760000020225" + "02dcf00902" + "30f90322bd03ad02210244445a68510322" + "0404060c666f6f62617a" + "08000a040c7f1583222d5c2e06104903" + "12c3020b"

// FuzzStream reads packets that a server might send. Whatever comes, what was handed
// out is contiguous, the stream ends with an error, and it does not matter in which
// pieces it came.
func FuzzStream(f *testing.F) {
	tagged, _ := hex.DecodeString(taggedHex)
	seeds := []*recorder{
		record(gtid.MySQL).start("mysql-bin.000001").transaction(1).rotate("mysql-bin.000002").start("mysql-bin.000002"),
		record(gtid.MySQL).start("mysql-bin.000001").event(binlog.TypeTaggedGTID, tagged).event(binlog.TypePreviousGTIDs, make([]byte, 8)).artificial("b", 4),
		record(gtid.MySQL).resume("mysql-bin.000001", 999).transaction(1).heartbeat(1),
		record(gtid.MySQL).start("mysql-bin.000001").refuse(1236, "position > file size"),
		record(gtid.MySQL).start("mysql-bin.000001").event(30, make([]byte, 900)),
		record(gtid.MariaDB).start("mysql-bin.000001").event(binlog.TypeMariaGTIDList, make([]byte, 20)).event(binlog.TypeMariaGTID, make([]byte, 13)),
	}
	for _, r := range seeds {
		for _, from := range []uint32{4, 999} {
			f.Add(r.packets, r.flavor == gtid.MariaDB, from, uint16(100))
		}
	}
	f.Fuzz(func(t *testing.T, packets []byte, mariaDB bool, from uint32, size uint16) {
		r := &recorder{flavor: gtid.MySQL, packets: mend(packets, size&1 == 0)}
		if mariaDB {
			r.flavor = gtid.MariaDB
		}
		read := func(size int) ([]byte, []Event, error) {
			s, p := r.stream(t, max(4, int64(from)), size)
			s.packets.buf = make([]byte, 512) // larger events are read in parts
			data, events, err := readAll(t, s)
			if err == nil || !p.closed {
				t.Fatalf("ended with %v, closed %v", err, p.closed)
			}
			return data, events, err
		}
		data, events, err := read(0)
		checkContiguous(t, data, events)
		again, _, againErr := read(max(int(size), len(packets)/100+1))
		if !bytes.Equal(again, data) || err.Error() != againErr.Error() {
			t.Fatalf("in pieces %d bytes and %v, whole %d and %v", len(again), againErr, len(data), err)
		}
	})
}

// mend returns packets with what a fuzzer does not find: sizes and, when wholly,
// sequence numbers and checksums that fit.
func mend(packets []byte, wholly bool) []byte {
	out := bytes.Clone(packets)
	for b, sequence := out, byte(1); len(b) > packetHeaderSize; sequence++ {
		size := min(int(b[0])|int(b[1])<<8, len(b)-packetHeaderSize)
		b[0], b[1], b[2] = byte(size), byte(size>>8), 0
		if wholly {
			b[3] = sequence
		}
		if payload := b[packetHeaderSize:][:size]; wholly && size > binlog.HeaderSize+binlog.ChecksumSize && payload[0] == 0 {
			event := payload[1:]
			binary.LittleEndian.PutUint32(event[9:], uint32(len(event)))
			sum := crc32.ChecksumIEEE(event[:len(event)-binlog.ChecksumSize])
			binary.LittleEndian.PutUint32(event[len(event)-binlog.ChecksumSize:], sum)
		}
		b = b[packetHeaderSize+size:]
	}
	return out
}

// checkContiguous checks that the events follow one another, and are the data.
func checkContiguous(t *testing.T, data []byte, events []Event) {
	t.Helper()
	total, at := int64(0), int64(-1)
	for _, e := range events {
		if at >= 0 && e.Start != at && e.Start != 0 || e.End < e.Start {
			t.Fatalf("event from %d to %d after %d", e.Start, e.End, at)
		}
		total += e.End - e.Start
		if at = e.End; e.Kind == FileEnd {
			at = 0
		}
	}
	if total != int64(len(data)) {
		t.Fatalf("%d bytes of events, %d handed out", total, len(data))
	}
}

func FuzzHeartbeat(f *testing.F) {
	f.Add(byte(binlog.TypeHeartbeat2), []byte{1, 1, 'f', 2, 9, 0xfe, 1, 0, 0, 0, 0, 0, 0, 0}, int64(1))
	f.Add(byte(binlog.TypeHeartbeat), []byte{1, 0, 0, 0, 1, 0, 0, 0}, int64(1<<32+1))
	f.Fuzz(func(t *testing.T, kind byte, body []byte, offset int64) {
		h := &binlog.Header{Type: kind}
		if heartbeatAt(h, body, offset) && offset != 0 && heartbeatAt(h, body, offset+1) {
			t.Error("stands for two offsets")
		}
	})
}
