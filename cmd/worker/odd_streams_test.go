//go:build faults

//faults:source

package main

import (
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"binkeeper/internal/servers"
)

// An oddity is something that few sources do. It writes to the source, and calls halfway in the middle of it: then the
// primary is killed, and another one resumes there.
type oddity struct {
	name  string
	write func(s *stage, c *client, halfway func())
}

// oddities are those of every source.
var oddities = []oddity{
	{"checksums switched under load", func(s *stage, c *client, halfway func()) {
		l := startLoad(s.t, s.src)
		for n := range 8 {
			c.exec("SET GLOBAL binlog_checksum = "+[]string{"NONE", "CRC32"}[n%2], "FLUSH BINARY LOGS")
			l.await(20)
			if n == 4 { // without checksums
				halfway()
			}
		}
		l.stop()
	}},
	{"a file for almost every transaction", func(s *stage, c *client, halfway func()) {
		c.exec("SET GLOBAL max_binlog_size = 4096")
		l := startLoad(s.t, s.src)
		l.await(100)
		halfway()
		l.await(100)
		l.stop()
		c.exec("SET GLOBAL max_binlog_size = 1048576")
	}},
	{"XA transactions", func(s *stage, c *client, halfway func()) {
		c.exec("CREATE TABLE odd.xa (id INT PRIMARY KEY)")
		for n, end := range []string{"XA COMMIT 'x'", "XA ROLLBACK 'x'", "XA COMMIT 'x'"} {
			c.exec("XA START 'x'", fmt.Sprintf("INSERT INTO odd.xa VALUES (%d)", n), "XA END 'x'", "XA PREPARE 'x'")
			s.awaitClosed() // it stays prepared into the next file
			if n == 1 {
				halfway()
			}
			c.exec(end)
		}
		c.exec("XA START 'y'", "INSERT INTO odd.xa VALUES (9)", "XA END 'y'", "XA COMMIT 'y' ONE PHASE")
	}},
	{"statements", func(_ *stage, c *client, halfway func()) {
		c.exec("SET SESSION binlog_format = STATEMENT", "CREATE TABLE odd.statements (id INT AUTO_INCREMENT PRIMARY KEY, r DOUBLE, v TEXT)",
			"SET @v = REPEAT('v', 3000)", "INSERT INTO odd.statements (r, v) VALUES (RAND(), @v)")
		halfway()
		c.exec("BEGIN", "INSERT INTO odd.statements (v) SELECT v FROM odd.statements", "SAVEPOINT s",
			"UPDATE odd.statements SET r = 1", "ROLLBACK TO s", "COMMIT", "SET SESSION binlog_format = ROW")
	}},
	{"tables without transactions", func(_ *stage, c *client, halfway func()) {
		c.exec("CREATE TABLE odd.myisam (id INT) ENGINE = MyISAM", "CREATE TABLE odd.innodb (id INT)",
			"INSERT INTO odd.myisam VALUES (1), (2)")
		halfway()
		c.exec("BEGIN", "INSERT INTO odd.innodb VALUES (1)", "COMMIT", "BEGIN", "INSERT INTO odd.innodb VALUES (2)", "ROLLBACK",
			"CREATE TEMPORARY TABLE odd.temp (id INT)", "INSERT INTO odd.temp VALUES (1)", "DROP TEMPORARY TABLE odd.temp",
			"TRUNCATE odd.innodb", "RENAME TABLE odd.innodb TO odd.renamed", "INSERT INTO odd.myisam SELECT * FROM odd.myisam")
	}},
	{"many rotations", func(s *stage, c *client, halfway func()) {
		rotations := 1000
		if s.src.Kind().IsMariaDB() {
			rotations = 200
		}
		c.exec("CREATE TABLE odd.rotations (id INT)")
		for n := range rotations {
			c.exec(fmt.Sprintf("INSERT INTO odd.rotations VALUES (%d)", n), "FLUSH BINARY LOGS")
			if n == rotations/2 {
				halfway()
			}
		}
	}},
}

var mysqlOddities = []oddity{
	{"compressed transactions", func(_ *stage, c *client, halfway func()) {
		c.exec("SET SESSION binlog_transaction_compression = ON", "CREATE TABLE odd.compressed (note LONGTEXT)")
		for n := range 60 {
			c.exec("BEGIN", "INSERT INTO odd.compressed VALUES (REPEAT('abc', 1000)), (REPEAT('def', 100000))", "COMMIT")
			if n == 30 {
				halfway()
			}
		}
		c.exec("SET SESSION binlog_transaction_compression = OFF")
	}},
	{"tagged GTIDs", func(_ *stage, c *client, halfway func()) {
		c.exec("SET SESSION gtid_next = 'AUTOMATIC:nightly_job'", "CREATE TABLE odd.tagged (id INT)", "INSERT INTO odd.tagged VALUES (1)")
		halfway()
		c.exec("INSERT INTO odd.tagged VALUES (2)", "SET SESSION gtid_next = 'AUTOMATIC:other'", "INSERT INTO odd.tagged VALUES (3)",
			"SET SESSION gtid_next = 'AUTOMATIC'", "INSERT INTO odd.tagged VALUES (4)",
			"SET SESSION gtid_next = '44444444-4444-4444-4444-444444444444:7'", "INSERT INTO odd.tagged VALUES (5)",
			"SET SESSION gtid_next = '44444444-4444-4444-4444-444444444444:3'", "BEGIN", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'")
	}},
	{"GTIDs switched off and on", func(s *stage, c *client, halfway func()) {
		c.exec("CREATE TABLE odd.anonymous (id INT)")
		l := startLoad(s.t, s.src)
		for _, mode := range []string{"ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"} {
			c.exec("SET GLOBAL gtid_mode = " + mode)
			l.await(20)
		}
		halfway()
		l.await(100)
		for _, mode := range []string{"OFF_PERMISSIVE", "ON_PERMISSIVE"} {
			c.exec("SET GLOBAL gtid_mode = " + mode)
			l.await(20)
		}
		l.stop()
		c.exec("FLUSH BINARY LOGS", "SET GLOBAL gtid_mode = ON", "INSERT INTO odd.anonymous VALUES (2)")
	}},
}

var mariaDBOddities = []oddity{
	{"compressed events", func(_ *stage, c *client, halfway func()) {
		c.exec("SET GLOBAL log_bin_compress = ON", "CREATE TABLE odd.compressed (note LONGTEXT)")
		for n := range 60 {
			c.exec("INSERT INTO odd.compressed VALUES (REPEAT('abc', 1000)), (REPEAT('def', 100000))")
			if n == 30 {
				halfway()
			}
		}
		c.exec("SET SESSION binlog_format = STATEMENT", "INSERT INTO odd.compressed VALUES ('"+note(5000)+"')",
			"SET SESSION binlog_format = ROW", "SET GLOBAL log_bin_compress = OFF")
	}},
	{"GTID domains", func(_ *stage, c *client, halfway func()) {
		c.exec("CREATE TABLE odd.domains (id INT)")
		for domain := range 5 {
			c.exec(fmt.Sprintf("SET SESSION gtid_domain_id = %d", domain), "INSERT INTO odd.domains VALUES (1), (2)")
			if domain == 2 {
				halfway()
			}
		}
		c.exec("SET SESSION gtid_domain_id = 0, SESSION server_id = 77", "INSERT INTO odd.domains VALUES (3)", "SET SESSION server_id = 1")
	}},
}

func TestOddStreams(t *testing.T) {
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kind, "--max-binlog-size=1M", "--sync-binlog=0")
			s.createTask()
			s.start("1", "2")
			c := newClient(t, s.src)
			c.exec("CREATE DATABASE odd")
			own := mysqlOddities
			if kind.IsMariaDB() {
				own = mariaDBOddities
			}
			for _, odd := range append(own, oddities...) {
				struck := 0
				odd.write(s, c, func() {
					v := s.awaitServing(0)
					s.start(s.killPrimary().Line[0].ServerID)
					struck++
					s.awaitServing(v.LastCommit.Term)
				})
				closed := s.awaitClosed()
				if struck != 1 {
					t.Fatalf("%s: the primary was killed %d times, want once", odd.name, struck)
				}
				t.Logf("%s: archived up to %s", odd.name, filepath.Base(closed[len(closed)-1]))
			}
			s.compare()
		})
	}
}

// A client is one connection as root.
type client struct {
	t    *testing.T
	conn *sql.Conn
}

func newClient(t *testing.T, src *servers.Source) *client {
	t.Helper()
	conn, err := src.DB().Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

func (c *client) exec(statements ...string) {
	c.t.Helper()
	for _, statement := range statements {
		if _, err := c.conn.ExecContext(c.t.Context(), statement); err != nil {
			c.t.Fatalf("%.100s: %v", statement, err)
		}
	}
}

// hugeEvent is the size of an event that fills many packets, in bytes.
const hugeEvent = 300 << 20

// A blackhole keeps no row, but the binlog has it all the same.
const blackhole = "CREATE TABLE odd.blackhole (note LONGBLOB) ENGINE = BLACKHOLE"

// The primary dies while the event is on its way, and another one takes it whole.
func TestHugeEvent(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--sync-binlog=0")
	s.program = plainProgram()
	s.createTask()
	c := newClient(t, s.src)
	c.exec("CREATE DATABASE odd", blackhole, fmt.Sprintf("INSERT INTO odd.blackhole SELECT REPEAT('huge', %d)", hugeEvent/4))
	s.start("1")
	v := s.await("what comes before the event", func(v view) bool { return claimed(v, 0) && v.LastCommit.Position > 0 })
	s.killPrimary()
	if now := s.look(); now.LastCommit.Position > hugeEvent {
		t.Fatal("the primary had archived the event before it died")
	}
	s.start("1")
	s.awaitServing(v.LastCommit.Term)
	s.compareByHand(s.awaitClosed()[0])
	s.checkHistory()
	s.checkSegments()
}

// compareByHand puts a file together without Binkeeper, and compares it with the source's.
func (s *stage) compareByHand(source string) {
	s.t.Helper()
	segments := filepath.Join(s.dir, task, "00000001", filepath.Base(source))
	const script = `find "$1" -name '*.zst' -print0 | sort -z | xargs -0 zstd -qdc | cmp - "$2"`
	if out, err := exec.CommandContext(s.t.Context(), "sh", "-c", script, "sh", segments, source).CombinedOutput(); err != nil {
		s.t.Errorf("%s differs from the archive's: %v: %s", source, err, out)
	}
}
