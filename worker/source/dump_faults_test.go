//go:build faults

//faults:source

package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/servers"
)

func TestDumpIsRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		run(t, source, "CREATE DATABASE d", "FLUSH BINARY LOGS", "CREATE TABLE d.t (v INT)", "FLUSH BINARY LOGS")
		if _, err := connect(t, source, "").Dump(t.Context(), binlog.Start{File: "mysql-bin.000099"}); !errors.Is(err, ErrFileNotFound) {
			t.Errorf("unknown file: %v", err)
		}
		run(t, source, "PURGE BINARY LOGS TO 'mysql-bin.000002'")
		if _, err := connect(t, source, "").Dump(t.Context(), binlog.Start{File: "mysql-bin.000001"}); !errors.Is(err, ErrFileNotFound) {
			t.Errorf("purged file: %v", err)
		}
		first := dump(t, source, binlog.Start{File: "mysql-bin.000002"})
		second := dump(t, source, binlog.Start{File: "mysql-bin.000002"})
		if _, err := drain(first); !errors.Is(err, ErrEvicted) {
			t.Errorf("evicted: %v", err)
		}
		readTo(t, second, "mysql-bin.000003", 4)
		ctx, cancel := context.WithCancelCause(t.Context())
		s, err := connect(t, source, "").Dump(ctx, binlog.Start{File: "mysql-bin.000002"})
		if err != nil {
			t.Fatal(err)
		}
		reason := errors.New("stepped down")
		time.AfterFunc(200*time.Millisecond, func() { cancel(reason) })
		if _, err := drain(s); err != reason {
			t.Errorf("context: %v", err)
		}
	})
}

func TestDumpOverCrashAndStop(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		run(t, source, "CREATE DATABASE d", "CREATE TABLE d.t (v INT)", "INSERT INTO d.t VALUES (1)")
		source.Kill()
		if err := source.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, source, "INSERT INTO d.t VALUES (2)")
		if err := source.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := source.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, source, "INSERT INTO d.t VALUES (3)", "FLUSH BINARY LOGS")
		last := end(t, source)
		s := dump(t, source, binlog.Start{File: "mysql-bin.000001"})
		var ends []string
		for s.File() != last.Name || s.Offset() < last.Size {
			_, event, err := s.Next(nil, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == FileEnd || event.NextFile != "" || event.Type == binlog.TypeStop {
				ends = append(ends, fmt.Sprintf("%d.%d %s", event.Kind, event.Type, event.NextFile))
			}
		}
		want := "2.4 mysql-bin.000002, 0.3 , 2.4 mysql-bin.000003, 0.4 mysql-bin.000004"
		if got := strings.Join(ends, ", "); got != want {
			t.Errorf("ends %q, want %q", got, want)
		}
		files := readTo(t, dump(t, source, binlog.Start{File: "mysql-bin.000001"}), last.Name, last.Size)
		compareClosed(t, source, files)
		// At the end of either file, the archive knows what follows, or does not.
		for _, name := range []string{"mysql-bin.000001", "mysql-bin.000002"} {
			file := files[name]
			lastEvent := file.events[len(file.events)-1]
			overlap := overlapOf(file, lastEvent.Start, lastEvent.End, "")
			s := dump(t, source, binlog.Start{File: name, Overlap: overlap})
			if _, event, err := s.Next(nil, time.Time{}); err != nil || event.Kind != FileEnd || event.NextFile == "" {
				t.Errorf("after the end of %s: %+v, %v", name, event, err)
			}
			overlap.NextFile = s.File()
			s = dump(t, source, binlog.Start{File: name, Overlap: overlap})
			if _, event, err := s.Next(nil, time.Time{}); err != nil || event.Start != 0 || event.Type != binlog.TypeFormatDescription {
				t.Errorf("in the file after %s: %+v, %v", name, event, err)
			}
		}
	})
}

func TestDumpIdleAndFrozen(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		run(t, source, "CREATE DATABASE d")
		s := dump(t, source, binlog.Start{File: "mysql-bin.000001"})
		for beats := 0; beats < 2; {
			_, event, err := s.Next(nil, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if event.Kind == Heartbeat {
				beats++
				want := byte(binlog.TypeHeartbeat2)
				if source.Kind().IsMariaDB() {
					want = binlog.TypeHeartbeat
				}
				if event.Type != want {
					t.Errorf("heartbeat of type %d, want %d", event.Type, want)
				}
			}
		}
		if _, _, err := s.Next(nil, time.Now().Add(10*time.Millisecond)); err != ErrNotYet {
			t.Errorf("idle: %v, want ErrNotYet", err)
		}
		run(t, source, "CREATE DATABASE e")
		for {
			_, event, err := s.Next(nil, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if event.Completes {
				break
			}
		}
		if err := source.Pause(); err != nil {
			t.Fatal(err)
		}
		if _, err := drain(s); !errors.Is(err, ErrSilent) {
			t.Errorf("frozen: %v, want ErrSilent", err)
		}
		if err := source.Continue(); err != nil {
			t.Fatal(err)
		}
	})
}

// drain reads until the stream ends, and counts the heartbeats.
func drain(s *Stream) (heartbeats int, err error) {
	for {
		_, event, err := s.Next(nil, time.Time{})
		if err != nil {
			return heartbeats, err
		}
		if event.Kind == Heartbeat {
			heartbeats++
		}
	}
}
