//go:build faults

//faults:source

package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

// overlapOf describes the bytes of a file from one event's start to another's end.
func overlapOf(file *copied, from, to int64, open string) *binlog.Overlap {
	return &binlog.Overlap{From: from, To: to, Open: open, Hash: fmt.Sprintf("%016x", xxhash.Sum64(file.data[from:to]))}
}

func TestDumpAfterAnOverlap(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		workload(t, source)
		last := end(t, source)
		files := readTo(t, dump(t, source, binlog.Start{File: "mysql-bin.000001"}), last.Name, last.Size)
		name := "mysql-bin.000002"
		file := files[name]
		size := int64(len(file.data))

		// After every event, with an overlap of that event, and sometimes of all.
		for i, event := range file.events {
			for _, from := range []int64{event.Start, 4, 0} {
				if i%8 != 0 && from != event.Start {
					continue
				}
				start := binlog.Start{File: name, Overlap: overlapOf(file, from, event.End, "")}
				if i == len(file.events)-1 {
					start.Overlap.NextFile = "mysql-bin.000003"
				}
				s := dump(t, source, start)
				rest := readTo(t, s, "mysql-bin.000003", 200)
				_ = s.Close()
				if start.Overlap.NextFile == "" {
					equalBytes(t, fmt.Sprintf("after %d from %d", event.End, from), rest[name].data, file.data[event.End:])
				}
				if got, _, err := bytes.Cut(rest["mysql-bin.000003"].data, nil); !bytes.HasPrefix(files["mysql-bin.000003"].data, got) || !err {
					t.Errorf("after %d from %d: the next file differs", event.End, from)
				}
			}
		}

		middle := file.events[len(file.events)/2]
		spoilt := overlapOf(file, middle.Start, middle.End, "")
		spoilt.Hash = strings.Repeat("0", 16)
		differ := map[string]*binlog.Overlap{
			"bytes":             spoilt,
			"start in an event": {From: middle.Start + 5, To: middle.End, Hash: spoilt.Hash},
			"end in an event":   overlapOf(file, middle.Start, middle.End-3, ""),
			"past the end":      {From: size + 1000, To: size + 2000, Hash: spoilt.Hash},
			"ends past the end": {From: middle.Start, To: size + 100, Hash: spoilt.Hash},
			"ends too early":    {From: middle.Start, To: middle.End, Hash: overlapOf(file, middle.Start, middle.End, "").Hash, NextFile: "mysql-bin.000003"},
			"another file":      {From: 4, To: size, Hash: overlapOf(file, 4, size, "").Hash, NextFile: "mysql-bin.000004"},
			"far past the end":  {From: 5 << 30, To: 6 << 30, Hash: spoilt.Hash},
		}
		for what, overlap := range differ {
			if _, err := connect(t, source, "").Dump(t.Context(), binlog.Start{File: name, Overlap: overlap}); !errors.Is(err, ErrDiffers) {
				t.Errorf("%s: %v, want ErrDiffers", what, err)
			} else {
				t.Logf("%s: %v", what, err)
			}
		}
		// The live file ends where the archive says that it goes on.
		if _, err := connect(t, source, "").Dump(t.Context(), binlog.Start{File: last.Name, Overlap: &binlog.Overlap{From: 4, To: last.Size + 1, Hash: spoilt.Hash}}); !errors.Is(err, ErrDiffers) {
			t.Errorf("live file: %v, want ErrDiffers", err)
		}
		if _, err := connect(t, source, "").Dump(t.Context(), binlog.Start{File: last.Name, Overlap: &binlog.Overlap{From: last.Size + 1, To: last.Size + 1}}); !errors.Is(err, ErrDiffers) || !errors.Is(err, ErrPastEnd) {
			t.Errorf("past the live file: %v, want ErrPastEnd", err)
		}
	})
}

// TestDumpBeyond4GiB dumps a closed file with offsets that take 33 bits: the server's
// own first events, then made ones, mostly holes on the disk.
func TestDumpBeyond4GiB(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB118} {
		t.Run(string(kind), func(t *testing.T) {
			source := servertest.StartSource(t, kind, "--binlog-checksum=NONE")
			run(t, source, "FLUSH BINARY LOGS")
			paths, err := source.BinlogFiles()
			if err != nil {
				t.Fatal(err)
			}
			if err := source.Stop(); err != nil {
				t.Fatal(err)
			}
			overlap := writeFarFile(t, paths[1])
			if err := source.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := dump(t, source, binlog.Start{File: "mysql-bin.000002", Overlap: overlap})
			if _, event, err := s.Next(nil, time.Time{}); err != nil || event.NextFile != "mysql-bin.000003" || event.Start != overlap.To || overlap.From < 1<<32 {
				t.Errorf("after the overlap from %d to %d: %+v, %v", overlap.From, overlap.To, event, err)
			}
		})
	}
}

// writeFarFile replaces all of a file but its first two events by 70 ignorable events
// of 64 MiB, a small one, and a rotation. The small one is the overlap.
func writeFarFile(t *testing.T, path string) *binlog.Overlap {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	offset := int64(len(binlog.Magic))
	for range 2 {
		offset += int64(binlog.ParseHeader(old[offset:]).Size)
	}
	old[len(binlog.Magic)+17] &^= binlog.FlagInUse
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(event []byte, at int64) {
		if _, err := file.WriteAt(event, at); err != nil {
			t.Fatal(err)
		}
	}
	write(old[:offset], 0)
	const ignorable, ignorableFlag, large = 28, 0x80, 64 << 20
	r := record(gtid.MySQL)
	for range 70 {
		head := r.build(ignorable, ignorableFlag, uint32(offset+large), nil, false)
		binary.LittleEndian.PutUint32(head[9:], large)
		write(head, offset)
		offset += large
	}
	small := r.build(ignorable, ignorableFlag, uint32(offset+binlog.HeaderSize+1), []byte{7}, false)
	overlap := &binlog.Overlap{From: offset, To: offset + int64(len(small)), Hash: fmt.Sprintf("%016x", xxhash.Sum64(small))}
	write(small, offset)
	next := append(binary.LittleEndian.AppendUint64(nil, 4), "mysql-bin.000003"...)
	write(r.build(binlog.TypeRotate, 0, uint32(overlap.To)+binlog.HeaderSize+uint32(len(next)), next, false), overlap.To)
	return overlap
}

func TestDumpInMidTransaction(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		run(t, source, "CREATE DATABASE d", "CREATE TABLE d.t (v TEXT)", "FLUSH BINARY LOGS",
			"BEGIN", "INSERT INTO d.t VALUES ('a')", "INSERT INTO d.t VALUES ('b')", "COMMIT", "FLUSH BINARY LOGS")
		files := readTo(t, dump(t, source, binlog.Start{File: "mysql-bin.000002"}), "mysql-bin.000003", 4)
		file := files["mysql-bin.000002"]
		begin := slices.IndexFunc(file.events, func(e Event) bool { return e.Begins })
		want := file.completed.String()
		for _, event := range file.events[begin : len(file.events)-2] {
			s := dump(t, source, binlog.Start{File: "mysql-bin.000002", Overlap: overlapOf(file, event.Start, event.End, want)})
			if s.Open() != want {
				t.Errorf("after %d: open %q, want %q", event.End, s.Open(), want)
			}
			rest := readTo(t, s, "mysql-bin.000003", 4)
			if got := rest["mysql-bin.000002"].completed.String(); got != want {
				t.Errorf("after %d: completed %q, want %q", event.End, got, want)
			}
			_ = s.Close()
		}
	})
}
