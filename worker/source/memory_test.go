package source_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/internal/mysqltest"
	"binkeeper/worker/source"
)

var identity = mysqltest.Identity{UUID: "3e11fa47-71ca-11e1-9e33-c80aa9429562", ServerID: 7}

// connect opens a connection to a source in memory.
func connect(t *testing.T, s *mysqltest.Source) *source.Conn {
	t.Helper()
	conn, err := dial(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dial(ctx context.Context, s *mysqltest.Source, options string) (*source.Conn, error) {
	target, err := source.ParseURL("mysql://" + mysqltest.User + "@127.0.0.1:3306" + options)
	if err != nil {
		return nil, err
	}
	return source.Connect(ctx, target, source.Options{
		Password: mysqltest.Password, ReplicaUUID: "11111111-1111-4111-8111-111111111111", ReplicaServerID: 99, Dial: s.Dial,
	})
}

// inBubble runs a test in virtual time, with a source that is closed at its end.
func inBubble(t *testing.T, test func(t *testing.T, s *mysqltest.Source)) {
	synctest.Test(t, func(t *testing.T) {
		s := mysqltest.New(identity)
		defer s.Close()
		test(t, s)
	})
}

func TestServerInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mysqltest.Source) {
		for range 5 {
			s.Commit(100)
		}
		s.Rotate()
		s.Commit(100)
		conn := connect(t, s)
		server, err := conn.Server(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if server.Flavor != gtid.MySQL || server.UUID != identity.UUID || server.ServerID != 7 || !server.LogBin || server.Executed.String() != identity.UUID+":1-6" {
			t.Errorf("server %+v", server)
		}
		files, err := conn.BinlogFiles(t.Context())
		if err != nil || len(files) != 2 || files[1].Name != "mysql-bin.000002" || files[1].Size != int64(len(s.File("mysql-bin.000002"))) {
			t.Errorf("files %+v, %v", files, err)
		}
		if err := conn.CheckFit(t.Context()); err != nil {
			t.Error(err)
		}
		ids, err := conn.ReplicaIDs(t.Context())
		if err != nil || len(ids) != 1 || ids[0] != 7 {
			t.Errorf("replica ids %v, %v", ids, err)
		}
		if _, err := conn.AwaitExecuted(t.Context(), server.Executed); err != nil {
			t.Error(err)
		}
	})
}

// read reads whole files from the stream until their bytes are those of the source, and the source is idle.
func read(t *testing.T, stream *source.Stream, s *mysqltest.Source, files ...string) {
	t.Helper()
	for _, name := range files {
		var got []byte
		for {
			buf, ev, err := stream.Next(got, time.Time{})
			if err != nil {
				t.Fatalf("%s after %d bytes: %v", name, len(got), err)
			}
			got = buf
			if ev.NextFile != "" || ev.Kind == source.Heartbeat {
				break
			}
		}
		if !bytes.Equal(got, s.File(name)) {
			t.Fatalf("%s: %d bytes differ from the source's %d", name, len(got), len(s.File(name)))
		}
	}
}

func TestDumpInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mysqltest.Source) {
		s.Commit(50)
		s.Commit(300_000)
		s.Rotate()
		s.Commit(20)
		s.Restart()
		s.Commit(30)
		s.Crash(1)
		s.Begin(1000)
		s.End()
		stream, err := connect(t, s).Dump(t.Context(), binlog.Start{File: "mysql-bin.000001"})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		read(t, stream, s, s.Files()...)
		if got, want := stream.TakeCompleted().String(), identity.UUID+":1-4"; got != want {
			t.Errorf("completed %s, want %s", got, want)
		}
	})
}

func TestDumpGoesOnWithTheSource(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mysqltest.Source) {
		stream, err := connect(t, s).Dump(t.Context(), binlog.Start{File: "mysql-bin.000001"})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		began := time.Now()
		var got []byte
		for beats := 0; beats < 3; {
			buf, ev, err := stream.Next(got, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if got = buf; ev.Kind == source.Heartbeat {
				beats++
				s.Commit(10)
			}
		}
		if took := time.Since(began); took < 2*source.DefaultHeartbeat || took > 4*source.DefaultHeartbeat {
			t.Errorf("three heartbeats took %s", took)
		}
		s.EndConnections()
		for err == nil {
			_, _, err = stream.Next(got, time.Time{})
		}
		if errors.Is(err, source.ErrNotYet) {
			t.Error(err)
		}
	})
}

func TestWhatTheSourceRefuses(t *testing.T) {
	tests := []struct {
		name  string
		ready func(*mysqltest.Source)
		start binlog.Start
		want  error
	}{
		{"a file that is not there", nil, binlog.Start{File: "mysql-bin.000009"}, source.ErrFileNotFound},
		{"a purged file", func(s *mysqltest.Source) { s.Rotate(); s.Purge("mysql-bin.000002") }, binlog.Start{File: "mysql-bin.000001"}, source.ErrFileNotFound},
		{"an offset past the end", nil, binlog.Start{File: "mysql-bin.000001", Overlap: &binlog.Overlap{From: 1 << 20, To: 1<<20 + 10}}, source.ErrPastEnd},
		{"other bytes", func(s *mysqltest.Source) { s.Commit(10) }, binlog.Start{File: "mysql-bin.000001", Overlap: &binlog.Overlap{From: 0, To: 126, Hash: "0000000000000000"}}, source.ErrDiffers},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *mysqltest.Source) {
				if tt.ready != nil {
					tt.ready(s)
				}
				if _, err := connect(t, s).Dump(t.Context(), tt.start); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestConnectInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mysqltest.Source) {
		s.Deny(true)
		var denied *source.DeniedError
		if _, err := dial(t.Context(), s, ""); !errors.As(err, &denied) {
			t.Errorf("denied: %v", err)
		}
		s.Leave()
		if _, err := dial(t.Context(), s, ""); !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("away: %v", err)
		}
		s.Return()
		s.Deny(false)
		if _, err := dial(t.Context(), s, "?ssl-mode=REQUIRED"); err == nil {
			t.Error("a connection without TLS counts as one with it")
		}
	})
}
