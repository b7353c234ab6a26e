package source

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"binkeeper/internal/binlog"
)

// archived is the file that the recorder made: its bytes, and where each event
// begins.
func overlapFrom(r *recorder, from, to int64) *binlog.Overlap {
	return &binlog.Overlap{From: from, To: to, Hash: fmt.Sprintf("%016x", xxhash.Sum64(r.bytes[from:to]))}
}

func TestBegin(t *testing.T) {
	const file = "mysql-bin.000001"
	archive := record("mysql")
	archive.start(file)
	first := archive.offset // the end of the format description
	archive.transaction(1)
	second := archive.offset
	archive.transaction(2).event(binlog.TypeStop, nil)
	last := archive.offset

	// What the source sends on a start at second.
	resumed := func() *recorder { return record("mysql").resume(file, second).transaction(2) }
	tests := []struct {
		name    string
		r       *recorder
		overlap *binlog.Overlap
		at      int64 // where the stream begins, when the overlap is there
		want    error
	}{
		{"whole file", record("mysql").start(file), nil, 0, nil},
		{"from the format description", record("mysql").start(file).transaction(1), overlapFrom(archive, 4, second), second, nil},
		{"from 0", record("mysql").start(file), overlapFrom(archive, 0, first), first, nil},
		{"to the middle", resumed(), overlapFrom(archive, second, second+44+binlog.ChecksumSize+17), second + 65, nil},
		{"to the end", resumed().event(binlog.TypeStop, nil), overlapFrom(archive, second, last), last, nil},
		{"nothing", record("mysql").resume(file, second), overlapFrom(archive, second, second), second, nil},
		{"other bytes", resumed(), overlapFrom(archive, second, second+65), 0, ErrDiffers},
		{"idle too early", record("mysql").resume(file, second).heartbeat(second), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"ends too early", record("mysql").resume(file, second).artificial("b", 4), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"rotates too early", record("mysql").resume(file, second).rotate("b").start("b").transaction(1), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"garbage", func() *recorder { r := record("mysql").resume(file, second); r.offset += 9; return r.transaction(1) }(), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"past the end", record("mysql").refuse(1236, "Client requested source to start replication from position > file size"), overlapFrom(archive, second, last), 0, ErrPastEnd},
		{"bogus", record("mysql").resume(file, second).refuse(1236, "bogus data in log event"), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"purged", record("mysql").refuse(1236, "Could not find first log file name in binary log index file"), overlapFrom(archive, second, last), 0, ErrFileNotFound},
		{"evicted", record("mysql").resume(file, second).refuse(1236, "the same server_uuid/server_id"), overlapFrom(archive, second, last), 0, ErrEvicted},
	}
	const tornWords = "binlog truncated in the middle of event; consider out of disk space on master"
	ended := overlapFrom(archive, second, last)
	ended.NextFile = "mysql-bin.000002"
	tests = append(tests, []struct {
		name    string
		r       *recorder
		overlap *binlog.Overlap
		at      int64
		want    error
	}{
		{"torn too early", record("mysql").resume(file, second).refuse(1236, tornWords), overlapFrom(archive, second, last), 0, ErrDiffers},
		{"torn where the archived one was ended", resumed().event(binlog.TypeStop, nil).refuse(1236, tornWords), ended, 0, ErrTorn},
	}...)
	for _, tt := range tests {
		if tt.name == "other bytes" {
			tt.overlap.Hash = "0123456789abcdef"
		}
		from := offsetOf(binlog.Start{File: file, Overlap: tt.overlap})
		s, _ := tt.r.stream(t, from, 0)
		err := s.begin(tt.overlap)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && s.Offset() != tt.at {
			t.Errorf("%s: at %d, want %d", tt.name, s.Offset(), tt.at)
		}
		if known := tt.want == ErrFileNotFound || tt.want == ErrEvicted || tt.want == ErrTorn; known && errors.Is(err, ErrDiffers) {
			t.Errorf("%s: %v is no difference", tt.name, err)
		}
	}
}

func TestBeginBeyondTheFile(t *testing.T) {
	const file, next = "mysql-bin.000001", "mysql-bin.000002"
	archive := record("mysql")
	archive.start(file)
	from := archive.offset
	archive.transaction(1)
	noRotate := overlapFrom(archive, from, archive.offset)
	archive.rotate(next)
	rotate := overlapFrom(archive, from, archive.offset)

	resumed := func() *recorder { return record("mysql").resume(file, from).transaction(1) }
	tests := []struct {
		name    string
		r       *recorder
		overlap *binlog.Overlap
		want    error
	}{
		{"rotate event", resumed().rotate(next).start(next), rotate, nil},
		{"crash", resumed().start(next), noRotate, nil},
		{"another next file", resumed().start("mysql-bin.000003"), noRotate, ErrDiffers},
		{"goes on", resumed().transaction(2), noRotate, ErrDiffers},
		{"idle", func() *recorder { r := resumed(); return r.heartbeat(r.offset) }(), noRotate, ErrDiffers},
		{"false rotation", resumed().rotate(next).start("mysql-bin.000003"), rotate, ErrDiffers},
	}
	for _, tt := range tests {
		overlap := *tt.overlap
		overlap.NextFile = next
		s, _ := tt.r.stream(t, from, 0)
		err := s.begin(&overlap)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil {
			continue
		}
		if _, event, err := s.Next(nil, time.Time{}); s.File() != next || event.Start != 0 || event.Type != binlog.TypeFormatDescription || err != nil {
			t.Errorf("%s: in %s %+v, %v", tt.name, s.File(), event, err)
		}
	}
}

func TestStartFrom(t *testing.T) {
	tests := []struct {
		overlap *binlog.Overlap
		want    int64
	}{
		{nil, 4}, {&binlog.Overlap{From: 0}, 4}, {&binlog.Overlap{From: 4}, 4}, {&binlog.Overlap{From: 1234}, 1234},
		{&binlog.Overlap{From: 1<<32 - 1}, 1<<32 - 1}, {&binlog.Overlap{From: 1 << 32}, 4},
	}
	for _, tt := range tests {
		if got := offsetOf(binlog.Start{Overlap: tt.overlap}); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.overlap, got, tt.want)
		}
	}
}

// A source that refuses an event for its gtid_mode has nothing that differs.
func TestGTIDMode(t *testing.T) {
	const (
		file      = "mysql-bin.000001"
		anonymous = "Cannot replicate anonymous transaction when @@GLOBAL.GTID_MODE = ON, at file ./mysql-bin.000001, position 158."
		withGTID  = "Cannot replicate GTID-transaction when @@GLOBAL.GTID_MODE = OFF, at file ./mysql-bin.000001, position 158."
	)
	for message, mode := range map[string]string{anonymous: "ON", withGTID: "OFF"} {
		archived := record("mysql")
		archived.start(file).transaction(1)
		s, _ := record("mysql").resume(file, 150).refuse(1236, message).stream(t, 150, 0)
		err := s.begin(overlapFrom(archived, 150, archived.offset))
		refused := (*GTIDModeError)(nil)
		if errors.Is(err, ErrDiffers) || !errors.As(err, &refused) || refused.Mode != mode {
			t.Errorf("%q is %v, want a *GTIDModeError of %s", message, err, mode)
		}
		s, _ = record("mysql").start(file).transaction(1).refuse(1236, message).stream(t, 4, 0)
		if err := s.begin(nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readAll(t, s); !errors.As(err, &refused) {
			t.Errorf("%q in mid-stream is %v", message, err)
		}
	}
}

func TestBehindGTID(t *testing.T) {
	r := record("mysql")
	r.start("mysql-bin.000001")
	first := r.offset
	r.transaction(1)
	second := r.offset
	r.gtid(2)
	behind := r.offset
	r.query("BEGIN")
	begun := r.offset
	r.event(binlog.TypeXID, make([]byte, 8)).event(binlog.TypeStop, nil)
	end := r.offset
	tests := []struct {
		name           string
		from, to, want int64 // want -1: no smaller one
	}{
		{"a transaction", second, end, behind},
		{"two", first, end, behind},
		{"from the file's start", 0, end, behind},
		{"from its first event", 4, end, behind},
		{"no GTID event", begun, end, -1},
		{"nothing behind it", second, behind, -1},
		{"nothing", end, end, -1},
	}
	for _, tt := range tests {
		o := overlapFrom(r, tt.from, tt.to)
		o.NextFile = "mysql-bin.000002"
		got, ok := BehindGTID(*o, r.bytes[tt.from:tt.to])
		if ok != (tt.want >= 0) {
			t.Errorf("%s: %+v, %v", tt.name, got, ok)
			continue
		}
		if !ok {
			continue
		}
		want := overlapFrom(r, tt.want, tt.to)
		want.NextFile = o.NextFile
		if got != *want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, *want)
		}
	}
}
