//go:build integration

package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

// eachKind runs test against a server of every kind.
func eachKind(t *testing.T, test func(*testing.T, *servers.Source)) {
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, servertest.StartSource(t, kind)) })
	}
}

func testOptions() Options {
	return Options{Password: servers.Password, ReplicaUUID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ReplicaServerID: 4711, Heartbeat: time.Second}
}

func connect(t *testing.T, source *servers.Source, parameters string) *Conn {
	t.Helper()
	c, err := connectWith(t, source, parameters, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func connectWith(t *testing.T, source *servers.Source, parameters string, options Options) (*Conn, error) {
	t.Helper()
	target, err := ParseURL(source.URL() + parameters)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(t.Context(), target, options)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func dump(t *testing.T, source *servers.Source, start binlog.Start) *Stream {
	t.Helper()
	s, err := connect(t, source, "").Dump(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func run(t *testing.T, source *servers.Source, statements ...string) {
	t.Helper()
	if err := source.Exec(t.Context(), statements...); err != nil {
		t.Fatal(err)
	}
}

// copied is one file as a stream has given it.
type copied struct {
	data      []byte
	events    []Event
	completed *gtid.Set
	previous  *gtid.Set
	rotated   bool // it ended with a rotate event
}

// lastOwn is the last event that is of a transaction: MariaDB writes a checkpoint some time after a file has begun.
func (c *copied) lastOwn() Event {
	const typeAt, checkpoint = 4, 161
	own := slices.DeleteFunc(slices.Clone(c.events), func(e Event) bool { return c.data[e.Start+typeAt] == checkpoint })
	return own[len(own)-1]
}

// readTo reads until the stream stands at offset in file, and returns the files.
func readTo(t *testing.T, s *Stream, file string, offset int64) map[string]*copied {
	t.Helper()
	files := map[string]*copied{}
	for s.File() != file || s.Offset() < offset {
		name := s.File()
		data, event, err := s.Next(nil, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == Data && event.Start == 0 {
			name = s.File()
		}
		c := files[name]
		if c == nil {
			c = &copied{completed: gtid.New(s.flavor)}
			files[name] = c
		}
		c.completed.Union(s.TakeCompleted())
		if event.Kind != Data {
			continue
		}
		if n := len(c.events); n > 0 && c.events[n-1].End != event.Start {
			t.Fatalf("%s: event at %d after one to %d", name, event.Start, c.events[n-1].End)
		}
		c.data = append(c.data, data...)
		c.events = append(c.events, *event)
		c.rotated = event.NextFile != ""
		c.previous, _ = s.Previous()
	}
	return files
}

// end returns where the source's binlog ends now.
func end(t *testing.T, source *servers.Source) BinlogFile {
	t.Helper()
	files, err := connect(t, source, "").BinlogFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files[len(files)-1]
}

// compareClosed compares the files with those of the server, of which all but the
// last are closed.
func compareClosed(t *testing.T, source *servers.Source, files map[string]*copied) {
	t.Helper()
	paths, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths[:len(paths)-1] {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want[len(binlog.Magic)+17] &^= binlog.FlagInUse // a crashed MariaDB leaves it set
		name := filepath.Base(path)
		file := files[name]
		if file == nil {
			t.Errorf("%s did not come", name)
			continue
		}
		equalBytes(t, name, file.data, want)
		next := files[filepath.Base(paths[i+1])]
		if file.previous == nil || next == nil || next.previous == nil {
			continue
		}
		have := file.previous.Clone()
		have.Union(file.completed)
		if !have.Equal(next.previous) {
			t.Errorf("%s: GTIDs %s and %s, but the next file says %s", name, file.previous, file.completed, next.previous)
		}
	}
}

// workload writes every kind of transaction, over several files.
func workload(t *testing.T, source *servers.Source) {
	t.Helper()
	run(t, source, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)",
		"CREATE TABLE d.m (v INT) ENGINE=MyISAM",
		"INSERT INTO d.t (v) VALUES ('one'), ('two')",
		"BEGIN", "INSERT INTO d.t (v) VALUES ('three')", "SAVEPOINT s", "INSERT INTO d.t (v) VALUES ('four')", "ROLLBACK TO s", "COMMIT",
		"INSERT INTO d.m VALUES (2)", "FLUSH BINARY LOGS",
		"XA START 'x'", "INSERT INTO d.t (v) VALUES ('xa')", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'",
		"XA START 'y'", "INSERT INTO d.t (v) VALUES ('xa')", "XA END 'y'", "XA PREPARE 'y'", "XA ROLLBACK 'y'",
		"XA START 'z'", "INSERT INTO d.t (v) VALUES ('xa')", "XA END 'z'", "XA COMMIT 'z' ONE PHASE",
		"CREATE TABLE d.c AS SELECT id FROM d.t", "DROP TABLE d.c", "ANALYZE TABLE d.t",
		"SET binlog_format=STATEMENT", "SET @u = 5", "INSERT INTO d.t (v) VALUES (@u), (RAND())", "SET binlog_format=ROW",
		"SET GLOBAL binlog_checksum=NONE", "INSERT INTO d.t (v) VALUES ('no checksum')", "FLUSH BINARY LOGS",
		"INSERT INTO d.t (v) VALUES ('no checksum')", "SET GLOBAL binlog_checksum=CRC32",
		"INSERT INTO d.t (v) VALUES (REPEAT(UUID(), 1000000))", // 36 MB: three packets
		"CREATE TABLE d.p (a INT) PARTITION BY HASH(a) PARTITIONS 4", "TRUNCATE TABLE d.p",
		"GRANT SELECT ON d.* TO root@'127.0.0.1'", "CREATE VIEW d.v AS SELECT 1", "CREATE FUNCTION d.f() RETURNS INT DETERMINISTIC RETURN 1",
		"FLUSH BINARY LOGS")
	if source.Kind().IsMariaDB() {
		run(t, source, "BEGIN", "INSERT INTO d.t (v) VALUES ('five')", "INSERT INTO d.m VALUES (1)", "ROLLBACK", "SET gtid_domain_id=5", "INSERT INTO d.t (v) VALUES ('other domain')", "SET gtid_domain_id=0",
			"SET GLOBAL log_bin_compress=ON", "INSERT INTO d.t (v) VALUES (REPEAT('packed', 1000))",
			"SET binlog_format=STATEMENT", fmt.Sprintf("INSERT INTO d.t (v) VALUES ('%s')", strings.Repeat("packed", 100)),
			fmt.Sprintf("CREATE TABLE d.packed (a INT COMMENT '%s')", strings.Repeat("packed", 100)), "SET GLOBAL log_bin_compress=OFF")
	} else {
		run(t, source, "SET binlog_transaction_compression=ON", "INSERT INTO d.t (v) VALUES (REPEAT('packed', 1000))",
			"SET binlog_transaction_compression=OFF",
			"SET gtid_next='AUTOMATIC:blue'", "INSERT INTO d.t (v) VALUES ('tagged')", "SET gtid_next=AUTOMATIC",
			"SET gtid_next='aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:4294967297'", "INSERT INTO d.t (v) VALUES ('given')", "SET gtid_next=AUTOMATIC")
	}
	run(t, source, "FLUSH BINARY LOGS", "INSERT INTO d.t (v) VALUES ('last')")
}

func TestDumpEqualsTheFiles(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		workload(t, source)
		last := end(t, source)
		for _, parameters := range []string{"?ssl-mode=disabled&get-server-public-key=true", "?ssl-mode=verify_ca&ssl-ca=" + source.CA()} {
			s, err := connect(t, source, parameters).Dump(t.Context(), binlog.Start{File: "mysql-bin.000001"})
			if err != nil {
				t.Fatal(err)
			}
			files := readTo(t, s, last.Name, last.Size)
			if s.Open() != "" {
				t.Errorf("open at the end: %s", s.Open())
			}
			_ = s.Close()
			compareClosed(t, source, files)
			if !files[last.Name].lastOwn().Completes {
				t.Error("the last event completes nothing")
			}
			server, err := connect(t, source, "").Server(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			have := files[last.Name].previous.Clone()
			have.Union(files[last.Name].completed)
			if !have.Equal(server.Executed) {
				t.Errorf("GTIDs %s, the server says %s", have, server.Executed)
			}
		}
	})
}
