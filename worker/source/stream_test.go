package source

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

func TestStreamGivesTheFile(t *testing.T) {
	tests := []struct {
		name   string
		record func(*recorder)
		flavor gtid.Flavor
	}{
		{"checksums", func(r *recorder) { r.start("mysql-bin.000001").transaction(1).transaction(2) }, gtid.MySQL},
		{"no checksums", func(r *recorder) { r.crc = false; r.start("mysql-bin.000001").transaction(1) }, gtid.MySQL},
		{"zero positions", func(r *recorder) { r.start("mysql-bin.000001"); r.zeroPos = true; r.transaction(1) }, gtid.MariaDB},
		{"heartbeats", func(r *recorder) { r.start("mysql-bin.000001").heartbeat(r.offset).transaction(1).heartbeat(r.offset) }, gtid.MySQL},
		{"artificial event", func(r *recorder) {
			r.start("mysql-bin.000001")
			r.send(r.build(binlog.TypeMariaGTIDList, binlog.FlagArtificial, 0, make([]byte, 4), true))
			r.transaction(1)
		}, gtid.MariaDB},
		{"larger than the read buffer", func(r *recorder) { r.start("mysql-bin.000001").event(30, make([]byte, 700<<10)).transaction(1) }, gtid.MySQL},
		{"as large as the read buffer", func(r *recorder) {
			for delta := 0; delta < 60; delta += 3 {
				r.event(30, make([]byte, readBufferSize-60+delta))
			}
		}, gtid.MySQL},
		{"two packets", func(r *recorder) { r.start("mysql-bin.000001").event(30, make([]byte, maxPacket+5000)).transaction(1) }, gtid.MySQL},
		{"three packets", func(r *recorder) {
			r.start("mysql-bin.000001").event(30, make([]byte, 2*maxPacket+5000)).transaction(1)
		}, gtid.MySQL},
		{"one full packet", func(r *recorder) {
			r.start("mysql-bin.000001").event(30, make([]byte, maxPacket-1-binlog.HeaderSize-binlog.ChecksumSize)).transaction(1)
		}, gtid.MySQL},
	}
	for _, tt := range tests {
		for _, size := range []int{0, 1, 7, 900 << 10} {
			r := record(tt.flavor)
			if tt.name == "as large as the read buffer" {
				r.start("mysql-bin.000001")
			}
			tt.record(r)
			if size > 0 && size < 10 && len(r.packets) > 1<<16 {
				continue // it would take too long
			}
			s, p := r.stream(t, 4, size)
			got, _, err := readAll(t, s)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", tt.name, err)
			}
			equalBytes(t, tt.name, got, r.bytes)
			if s.Offset() != r.offset || !p.closed {
				t.Errorf("%s: offset %d, closed %v, want %d, true", tt.name, s.Offset(), p.closed, r.offset)
			}
		}
	}
}

func TestStreamEvents(t *testing.T) {
	r := record(gtid.MySQL)
	r.start("mysql-bin.000001").transaction(1).gtid(2).query("CREATE TABLE t (a int)").heartbeat(r.offset)
	r.rotate("mysql-bin.000002")
	first := r.offset
	r.start("mysql-bin.000002").transaction(3).event(binlog.TypeStop, nil)
	second := r.offset
	r.start("mysql-bin.000003").gtid(4)
	s, _ := r.stream(t, 4, 0)
	got, events, _ := readAll(t, s)
	equalBytes(t, "files", got, r.bytes)

	var story []string
	for _, e := range events {
		word := map[byte]string{2: "query", 3: "stop", 4: "rotate", 15: "format", 16: "xid", 27: "heartbeat", 30: "rows", 33: "gtid"}[e.Type]
		word = []string{"", "~", "end:"}[e.Kind] + word
		if e.Begins {
			word += "("
		}
		if e.Completes {
			word += ")"
		}
		story = append(story, word+strings.TrimPrefix(e.NextFile, "mysql-bin.00000"))
	}
	want := "format gtid( query rows xid) gtid( query) ~heartbeat rotate2 format gtid( query rows xid) stop end:rotate3 format gtid("
	if got := strings.Join(story, " "); got != want {
		t.Errorf("events\n got %s\nwant %s", got, want)
	}
	if e := events[0]; e.Start != 0 || e.End != 4+binlog.HeaderSize+2+50+4+1+41+1+4 || e.Time != 1700000000 {
		t.Errorf("format description %+v", e)
	}
	if e := events[8]; e.End != first || e.NextFile != "mysql-bin.000002" {
		t.Errorf("rotate %+v, want end %d", e, first)
	}
	if e := events[15]; e.Start != second || e.End != second || e.Kind != FileEnd {
		t.Errorf("file end %+v, want at %d", e, second)
	}
	if got, want := s.TakeCompleted().String(), testUUID+":1-3"; got != want {
		t.Errorf("completed %s, want %s", got, want)
	}
	if got, want := s.Open(), testUUID+":4"; got != want {
		t.Errorf("open %s, want %s", got, want)
	}
	if s.File() != "mysql-bin.000003" || !s.TakeCompleted().IsEmpty() {
		t.Errorf("file %s, and transactions completed twice", s.File())
	}
}

func TestStreamFarOffsets(t *testing.T) {
	const far = 5<<32 + 100
	r := record(gtid.MySQL)
	r.start("mysql-bin.000001")
	s, _ := r.stream(t, 4, 0)
	if _, _, err := readAll(t, s); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	r.packets, r.offset = nil, far
	r.transaction(1).heartbeat(far)
	r.packets = nil // only to count sequence and offset up
	s.offset, s.err = far, nil
	r.offset, r.sequence = far, s.packets.sequence
	r.transaction(1).heartbeat(r.offset)
	long := binary.LittleEndian.AppendUint64([]byte{1, 1, 'f', 2, 9, 0xfe}, uint64(r.offset))
	r.send(r.build(binlog.TypeHeartbeat2, 0, 0, long, true))
	r.send(r.build(binlog.TypeHeartbeat, 1, 0, append(binary.LittleEndian.AppendUint64(nil, uint64(r.offset)), "file"...), true))
	s.packets.conn = &tape{pieces: [][]byte{r.packets}}
	_, events, err := readAll(t, s)
	if len(events) != 7 || s.Offset() != r.offset || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d events up to %d, %v; want 7 up to %d", len(events), s.Offset(), err, r.offset)
	}
}

func TestStreamRefuses(t *testing.T) {
	started := func() *recorder { return record(gtid.MySQL).start("mysql-bin.000001") }
	tests := []struct {
		name    string
		r       *recorder
		spoil   func(packets []byte)
		corrupt string // substring of the problem
		want    error
	}{
		{name: "bad checksum", r: started().transaction(1), spoil: func(b []byte) { b[len(b)-6]++ }, corrupt: "checksum"},
		{name: "bad checksum of the format", r: started(), spoil: func(b []byte) { b[len(b)-20]++ }, corrupt: "checksum"},
		{name: "lost packet", r: func() *recorder { r := started(); r.sequence++; return r.transaction(1) }(), corrupt: "packet 4 where 3"},
		{name: "hole", r: func() *recorder { r := started(); r.offset += 10; return r.transaction(1) }(), corrupt: "ends at"},
		{name: "zero position of MySQL", r: func() *recorder { r := started(); r.zeroPos = true; return r.transaction(1) }(), corrupt: "ends at 0"},
		{name: "idle elsewhere", r: func() *recorder { r := started(); return r.heartbeat(r.offset + 1) }(), corrupt: "idle"},
		{name: "other file", r: record(gtid.MySQL).start("mysql-bin.000009"), corrupt: "asked for"},
		{name: "no rotate first", r: record(gtid.MySQL).transaction(1), corrupt: "starts with an event of type 33"},
		{name: "no format", r: record(gtid.MySQL).artificial("mysql-bin.000001", 4).transaction(1), corrupt: "event of type 33"},
		{name: "two formats", r: started().event(binlog.TypeFormatDescription, record(gtid.MySQL).format()), corrupt: "event of type 15"},
		{name: "event after rotate", r: started().rotate("b").transaction(1), corrupt: "after the rotation to b"},
		{name: "another rotation", r: started().rotate("b").artificial("c", 4), corrupt: "goes on with c"},
		{name: "rotation into the middle", r: started().artificial("c", 5), corrupt: "goes on with c at 5"},
		{name: "rotation to a path", r: started().rotate("../../b.000002"), corrupt: `a rotation to "../../b.000002"`},
		{name: "artificial rotation to a path", r: started().artificial("/etc/b.000002", 4), corrupt: `a rotation to "/etc/b.000002"`},
		{name: "rotation to a long name", r: started().rotate(strings.Repeat("b", 70_000)), corrupt: `a rotation to "bbb`},
		{name: "a large event of more than a server sends", r: started().announce(maxEvent + 1), corrupt: "no server sends more"},
		{name: "a large event of 4 GiB", r: started().announce(1<<32 - 1), corrupt: "an event of 4294967295 bytes"},
		{name: "short GTID", r: started().event(binlog.TypeGTID, make([]byte, 3)), corrupt: "too short"},
		{name: "bad previous GTIDs", r: started().event(binlog.TypePreviousGTIDs, make([]byte, 3)), corrupt: "malformed"},
		{name: "short event", r: func() *recorder { r := started(); r.packet(make([]byte, 9)); return r }(), corrupt: "event of 8 bytes"},
		{name: "empty packet", r: func() *recorder { r := started(); r.packet(nil); return r }(), corrupt: "holds no event"},
		{name: "false size", r: started().transaction(1), spoil: func(b []byte) { b[len(b)-31+9]++ }, corrupt: "says 32 bytes and has 31"},
		{name: "evicted", r: started().refuse(1236, "A replica with the same server_uuid/server_id as this replica has connected to the source; the first event"), want: ErrEvicted},
		{name: "evicted by MariaDB", r: started().refuse(4052, "A slave with the same server_id is already connected"), want: ErrEvicted},
		{name: "purged", r: record(gtid.MySQL).refuse(1236, "Could not find first log file name in binary log index file"), want: ErrFileNotFound},
		{name: "past end", r: record(gtid.MySQL).refuse(1236, "Client requested source to start replication from position > file size"), want: ErrPastEnd},
		{name: "closed", r: started(), want: io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		if tt.spoil != nil {
			tt.spoil(tt.r.packets)
		}
		s, p := tt.r.stream(t, 4, 0)
		got, _, err := readAll(t, s)
		var corrupt *CorruptError
		if tt.corrupt != "" && (!errors.As(err, &corrupt) || !strings.Contains(corrupt.Problem, tt.corrupt) || corrupt.Offset != s.Offset()) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.corrupt)
		}
		if tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if !strings.Contains(err.Error(), "mysql-bin.000001") && !strings.Contains(tt.name, "r") {
			t.Errorf("%s: %v does not name the file", tt.name, err)
		}
		if int64(len(got)) != s.Offset() && !strings.Contains(tt.name, "rotat") {
			t.Errorf("%s: %d bytes handed out, offset %d", tt.name, len(got), s.Offset())
		}
		if _, _, again := s.Next(nil, until()); again != err || !p.closed {
			t.Errorf("%s: then %v, closed %v", tt.name, again, p.closed)
		}
	}
}

func TestStreamKeepsPartOfALargeEvent(t *testing.T) {
	r := record(gtid.MySQL)
	r.start("mysql-bin.000001").event(30, make([]byte, 2<<20))
	s, _ := r.stream(t, 4, 300<<10)
	var data []byte
	pauses := 0
	for {
		// Every call gets a buffer of its own: nothing may live in the last one.
		out, _, err := s.Next(append([]byte(nil), data...), until())
		if err == ErrNotYet {
			pauses++
			continue
		}
		if err != nil {
			break
		}
		data = out
	}
	equalBytes(t, "file", data, r.bytes)
	if pauses < 5 {
		t.Errorf("%d pauses struck, want several", pauses)
	}
}

// TestStreamTakesMemoryAsBytesCome announces 1 GiB, and sends a part of it.
func TestStreamTakesMemoryAsBytesCome(t *testing.T) {
	for _, parts := range []int{0, 1, 2} {
		r := record(gtid.MySQL).start("mysql-bin.000001").announce(maxEvent)
		part := make([]byte, maxPacket)
		for range parts {
			r.packet(part)
			r.packets, r.sequence = r.packets[:len(r.packets)-packetHeaderSize], r.sequence-1 // nor is it the last one
		}
		s, _ := r.stream(t, 4, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := readAll(t, s); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d parts: %v", parts, err)
		}
		runtime.ReadMemStats(&after)
		came := uint64(parts+1) * maxPacket
		if took := after.TotalAlloc - before.TotalAlloc; took > 6*came {
			t.Errorf("%d MiB came, and took %d MiB", came>>20, took>>20)
		}
	}
}

// Events of 1 MiB do not share a buffer of 2 MiB with what stands in it, unless that
// is little; small ones do.
func TestStreamKeepsALargeEventBack(t *testing.T) {
	const large = 1 << 20
	r := record(gtid.MySQL)
	r.start("mysql-bin.000001").event(30, make([]byte, large)).event(30, make([]byte, large)).transaction(1).event(30, make([]byte, 3*large))
	s, _ := r.stream(t, 4, 0)
	s.together = 2 * large
	var file, buf []byte
	var sizes []int
	for {
		before := len(buf)
		out, _, err := s.Next(buf, until())
		buf = out
		if err == nil {
			continue
		}
		if len(buf) != before {
			t.Fatalf("%v changed the buffer", err)
		}
		file, sizes = append(file, buf...), append(sizes, len(buf)>>20)
		if err != ErrNotYet {
			break
		}
		buf = nil
	}
	equalBytes(t, "file", file, r.bytes)
	if want := []int{1, 1, 3}; !slices.Equal(sizes, want) {
		t.Errorf("buffers of %d MiB, want %d", sizes, want)
	}
}

func TestStreamTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := net.Pipe()
		defer server.Close()
		s := newStream(t.Context(), conn, gtid.MySQL, "mysql-bin.000001", 4, 15*time.Second)
		r := record(gtid.MySQL)
		r.start("mysql-bin.000001").transaction(1)
		half := len(r.packets) - 10
		go func() { _, _ = server.Write(r.packets[:half]) }()
		events, buf := 0, []byte(nil)
		var err error
		for err == nil {
			if buf, _, err = s.Next(buf, time.Now().Add(time.Second)); err == nil {
				events++
			}
		}
		if err != ErrNotYet || events != 4 {
			t.Fatalf("%d events, then %v, want 4 and ErrNotYet", events, err)
		}
		start := time.Now()
		for err == ErrNotYet {
			_, _, err = s.Next(nil, time.Now().Add(time.Second))
		}
		if waited := time.Since(start); !errors.Is(err, ErrSilent) || waited != 14*time.Second {
			t.Errorf("%v after %s, want ErrSilent after 14s", err, waited)
		}
	})
}

func TestStreamSilenceIsNotTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := net.Pipe()
		defer server.Close()
		s := newStream(t.Context(), conn, gtid.MySQL, "mysql-bin.000001", 4, 15*time.Second)
		r := record(gtid.MySQL)
		r.start("mysql-bin.000001")
		go func() { _, _ = server.Write(r.packets) }()
		time.Sleep(time.Hour) // the caller is busy elsewhere
		if _, event, err := s.Next(nil, time.Time{}); err != nil || event.Type != binlog.TypeFormatDescription {
			t.Errorf("%+v, %v", event, err)
		}
	})
}

func TestStreamEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := net.Pipe()
		defer server.Close()
		reason := errors.New("stepped down")
		ctx, cancel := context.WithCancelCause(t.Context())
		s := newStream(ctx, conn, gtid.MySQL, "mysql-bin.000001", 4, 0)
		s.release = closeOnDone(ctx, conn)
		time.AfterFunc(time.Second, func() { cancel(reason) })
		if _, _, err := s.Next(nil, time.Time{}); err != reason {
			t.Errorf("%v, want %v", err, reason)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		_ = s.Close() // and once more
	})
}

func BenchmarkNext(b *testing.B) {
	r := record(gtid.MySQL)
	r.start("mysql-bin.000001")
	started := len(r.packets)
	for n := range uint64(64 * 64) { // 4 events each: the sequence comes round
		r.transaction(n + 1)
	}
	loop := r.packets[started:]
	s, p := r.stream(b, 4, 0)
	p.pieces = [][]byte{r.packets[:started:started]}
	if _, _, err := s.Next(nil, until()); err != nil {
		b.Fatal(err)
	}
	from := s.offset
	buf := make([]byte, 0, 1<<20)
	pieces := make([][]byte, 1)
	b.ReportAllocs()
	b.SetBytes(int64(len(loop)) / (4 * 64 * 64))
	for b.Loop() {
		if len(s.packets.buffered()) == 0 && len(p.pieces[0]) == 0 {
			pieces[0] = loop
			p.pieces, s.offset, s.packets.sequence = pieces, from, loop[3]
			s.tracker.TakeCompleted()
		}
		var err error
		if buf, _, err = s.Next(buf[:0], time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

// What the source itself cannot read is corrupt where the stream stands. Other refusals are not.
func TestSourceCannotRead(t *testing.T) {
	tests := []struct {
		message string
		corrupt bool
	}{
		{"event read from binlog did not pass crc check; the first event '' at 4", true},
		{"bogus data in log event; the first event '' at 4", true},
		{"corrupted data in log event", true},
		{"log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source", true},
		{"I/O error reading log event", true},
		{"memory allocation failed reading log event", false},
		{"A replica with the same server_uuid/server_id as this replica has connected to the source", false},
	}
	for _, tt := range tests {
		r := record("mysql").start("mysql-bin.000001").transaction(1)
		at := r.offset
		s, _ := r.refuse(1236, tt.message).stream(t, 4, 0)
		_, _, err := readAll(t, s)
		corrupt := (*CorruptError)(nil)
		if errors.As(err, &corrupt) != tt.corrupt {
			t.Errorf("%q: %v, want corrupt: %v", tt.message, err, tt.corrupt)
		} else if tt.corrupt && (corrupt.File != "mysql-bin.000001" || corrupt.Offset != at || !strings.Contains(corrupt.Problem, tt.message)) {
			t.Errorf("%q: %+v, want word of it at %d", tt.message, corrupt, at)
		}
	}
}
