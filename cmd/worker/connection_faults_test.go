//go:build faults

//faults:source

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// dumps are the ids of the connections over which the source sends its binlog.
func (c *client) dumps() (ids []int64) {
	c.t.Helper()
	rows, err := c.conn.QueryContext(c.t.Context(), "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	must(c.t, err)
	defer rows.Close()
	for rows.Next() {
		var id int64
		must(c.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	must(c.t, rows.Err())
	return ids
}

// killDump ends the dump, which has to be another one than that of id, and returns which it was.
func (c *client) killDump(id int64) int64 {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if ids := c.dumps(); len(ids) == 1 && ids[0] != id {
			if _, err := c.conn.ExecContext(c.t.Context(), fmt.Sprintf("KILL %d", ids[0])); err == nil {
				return ids[0]
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no new dump within %s after that of connection %d was killed", patience, id)
		}
	}
}

func TestDumpKilledAHundredTimes(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.program, s.timeout = plainProgram(), lasting
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	c := newClient(t, s.src)
	var id int64
	for n := range 100 {
		id = c.killDump(id)
		if n%3 == 2 { // others die before they have come to anything; for 30 s of that, the primary would yield
			s.await("a dump that works", func(v view) bool {
				return v.Status.State == zkpaths.StateRunning && v.Status.Reconnects > before.Status.Reconnects+int64(n)
			})
		}
	}
	l.stop()
	s.compare()
	s.wantSamePrimary(before)
}

// wantSamePrimary wants nobody to have taken over: the term, and who has it, are as before.
func (s *stage) wantSamePrimary(before view) {
	s.t.Helper()
	if now := s.look().LastCommit; now.Term != before.LastCommit.Term || now.Instance != before.LastCommit.Instance {
		s.t.Errorf("term %d of %s has become term %d of %s", before.LastCommit.Term, before.LastCommit.Instance, now.Term, now.Instance)
	}
}

// The source refuses every connection for a while, shorter than the 30 s after which a primary yields to a standby: the
// task says why, and goes on in the same term once it is let in.
func TestSourceRefusesConnections(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	password := filepath.Join(s.secrets, "password")
	must(t, os.WriteFile(password, []byte("first"), 0o600))
	c := newClient(t, s.src)
	c.exec("CREATE USER changing IDENTIFIED BY 'first'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO changing")
	s.createTask(func(spec *zkpaths.Spec) {
		spec.Source, spec.PasswordRef = "mysql://changing@"+s.src.Addr(), "file:"+password
	})
	s.timeout = lasting
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	for _, test := range []struct {
		name, reason, says string
		strike, mend       func()
	}{
		{"the password was changed", "source-away", "denies access to user \"changing\"",
			func() { c.exec("ALTER USER changing IDENTIFIED BY 'second'") },
			func() { must(t, os.WriteFile(password, []byte("second\n"), 0o600)) }},
		{"the account was locked", "source-away", "denies access to user \"changing\"",
			func() { c.exec("ALTER USER changing ACCOUNT LOCK") },
			func() { c.exec("ALTER USER changing ACCOUNT UNLOCK") }},
		{"max_connections is reached", "source-away", "Too many connections",
			func() { c.exec("SET GLOBAL max_connections = 1") }, // those that there are stay
			func() { c.exec("SET GLOBAL max_connections = 151") }},
	} {
		test.strike()
		c.killDump(0)
		struck := time.Now()
		s.awaitTrouble(test.reason, test.says)
		l.await(50)
		test.mend()
		s.await("the archive after "+test.name, func(v view) bool { return v.Status.State == zkpaths.StateRunning })
		t.Logf("%s: away for %s", test.name, time.Since(struck))
	}
	l.stop()
	s.compare()
	s.wantSamePrimary(before)
}

// Two fleets have the same task, each in its own ZooKeeper and with an archive of its own, as after an ensemble was
// copied: the source ends the dump of the one whenever the other comes. Both say so, and both archives are whole.
func TestSecondReader(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB118} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kind, "--max-binlog-size=1M")
			s.createTask()
			twin := s.twin()
			s.start("1")
			l := startLoad(t, s.src)
			s.awaitServing(0)
			twin.start("2")
			s.awaitLog("1", 3, "another dump with the same replica identity")
			twin.awaitLog("2", 3, "another dump with the same replica identity")
			s.awaitLog("1", 1, `"hint":"if this is not the task's next primary`)
			l.await(200)
			l.stop()
			s.compare()
			twin.compare()
			now := s.look()
			t.Logf("dumps: %d and %d; changes of state: %d", now.Status.Reconnects+1, twin.look().Status.Reconnects+1, now.Status.Changes)
		})
	}
}

// twin is the same task and source, below a root of its own and with an archive of its own.
func (s *stage) twin() *stage {
	s.t.Helper()
	other := stageOf(s.t, s.zk, s.root+"_twin", s.src)
	spec := s.look().Spec
	other.createTask(func(copied *zkpaths.Spec) {
		copied.ReplicaUUID, copied.ReplicaServerID = spec.ReplicaUUID, spec.ReplicaServerID
	})
	return other
}

// Another server with the same file names answers at the source's address: nothing of it comes into the archive, until
// the operator wants that; and when the first one is back before, nothing has happened.
func TestServerSwapped(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB118} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kind, "--max-binlog-size=1M", "--sync-binlog=0")
			first, second := s.src, servertest.StartSource(t, kind, "--max-binlog-size=1M", "--sync-binlog=0")
			door := faultstest.NewProxy(t, first.Addr(), faults.Raw)
			s.createTask(func(spec *zkpaths.Spec) { spec.Source = "mysql://" + servers.User + "@" + door.Addr() })
			s.start("1", "2")
			one, other := startLoad(t, first), startLoad(t, second)
			s.awaitServing(0)
			one.await(100)
			swap := func(to *servers.Source) {
				door.Retarget(to.Addr())
				door.Kill()
			}
			swap(second)
			s.awaitBlocked(zkpaths.BlockedOtherSource)
			one.await(50)
			door.Retarget(first.Addr())
			s.setDesired(zkpaths.Paused) // which makes it look again at once
			s.setDesired(zkpaths.Running)
			s.await("the first server's archive", func(v view) bool { return v.Status.State == zkpaths.StateRunning })
			one.stop()
			s.compare()
			s.wantTimelines(archive.ReasonFirst)

			swap(second)
			s.awaitBlocked(zkpaths.BlockedOtherSource)
			end, kept := s.chainEnd(), s.keepBinlogs()
			s.src = second
			s.accept(zkpaths.AcceptNewTimeline)
			s.await("the second server's archive", func(v view) bool {
				return v.Status.State == zkpaths.StateRunning && v.LastCommit.Timeline == 2
			})
			other.stop()
			s.compare()
			s.compareTimeline(1, kept, end)
			s.wantTimelines(archive.ReasonFirst, archive.ReasonOtherSource)
		})
	}
}
