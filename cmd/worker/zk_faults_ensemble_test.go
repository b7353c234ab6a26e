//go:build faults

//faults:zookeeper

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// newEnsemble is newStage with an ensemble of three servers of its own.
func newEnsemble(t *testing.T, args ...string) *stage {
	t.Helper()
	own, err := servers.StartZooKeeper(t.Context(), servers.ZooKeeperOptions{
		Dir: t.TempDir(), Servers: 3, JavaArgs: []string{"-Dzookeeper.forceSync=no"},
	})
	must(t, err)
	t.Cleanup(own.Close)
	return newStageOn(t, own, servers.MySQL, args...)
}

// leader waits for the ensemble's leader.
func (s *stage) leader() *servers.ZooKeeperServer {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, server := range s.zk.Servers() {
			if mode, err := server.Mode(s.t.Context()); err == nil && mode == "leader" {
				return server
			}
		}
	}
	s.t.Fatalf("no leader within %s", patience)
	return nil
}

// While the ensemble has no leader no session expires: a primary that has its dump open archives on, commits nothing, and
// opens no other dump; then it goes on in its term. The monitor is blind, and says nothing else.
func TestQuorumIsLost(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second // an election may take seconds
	s := newEnsemble(t, "--max-binlog-size=1M")
	s.timeout = timeout
	s.createTask()
	s.start("1")
	s.awaitServing(0)
	s.start("2")
	l := startLoad(t, s.src)
	c := newClient(t, s.src)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	monitor := s.startMonitor()

	s.leader().Kill()
	after := s.await("a commit by another leader", func(v view) bool { return v.LastCommit.Commit > before.LastCommit.Commit+1 })
	if after.LastCommit.Term != before.LastCommit.Term {
		t.Errorf("the term went from %d to %d with the leader", before.LastCommit.Term, after.LastCommit.Term)
	}
	second := s.leader()
	must(t, second.Pause())
	began := time.Now()
	monitor.await("that it is blind", func(firing []string) bool { return slices.Equal(firing, []string{"BinkeeperBlind"}) })
	for _, since := range []time.Duration{quorumLoss / 2, quorumLoss} {
		<-time.After(time.Until(began.Add(since)))
		had := s.storedBytes()
		l.await(100)
		s.awaitArchive("more of the archive, there being no quorum", func(bytes int64) bool { return bytes > had })
	}
	monitor.wantFiring("BinkeeperBlind")
	c.killDump(0)
	for range 20 {
		<-time.After(100 * time.Millisecond)
		if ids := c.dumps(); len(ids) != 0 {
			t.Fatalf("dump %v was opened, and nobody could forbid it", ids)
		}
	}
	must(t, second.Continue())
	must(t, s.zk.Start(t.Context()))
	s.awaitServing(0)
	resumed := s.await("a commit", func(v view) bool {
		return v.LastCommit.Term > before.LastCommit.Term || v.LastCommit.Commit > after.LastCommit.Commit+1
	})
	// One more when the session was expired after all: a leader that wakes up finds all sessions too old, and may yet be
	// elected again.
	if grown := resumed.LastCommit.Term - before.LastCommit.Term; grown > 1 {
		t.Errorf("the term has grown by %d", grown)
	}
	monitor.await("nothing any more", func(firing []string) bool { return len(firing) == 0 })
	l.stop()
	s.compare()
	s.wantPause(began, quorumLoss)
}

// wantPause wants no commit for a time.
func (s *stage) wantPause(since time.Time, lasts time.Duration) {
	s.t.Helper()
	const under = time.Second // way
	for _, c := range changes(s.t, s.zk) {
		if c.Path == s.root+zkpaths.Checkpoint(task) && c.At.After(since.Add(under)) && c.At.Before(since.Add(lasts)) {
			s.t.Errorf("lastCommit was written %s after the quorum was lost", c.At.Sub(since))
		}
	}
}

// ZooKeeper comes back as it was some terms ago: what the archive tells of terms and positions wins.
func TestRestoredEnsemble(t *testing.T) {
	t.Parallel()
	s := newStageAlone(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	old := s.awaitServing(0)
	server, saved := s.zk.Servers()[0], filepath.Join(t.TempDir(), "saved")
	must(t, server.Stop())
	copyFolder(t, server.DataDir(), saved)
	must(t, server.Start(t.Context()))
	var last view
	for term := old.LastCommit.Term; term < old.LastCommit.Term+2; term = last.LastCommit.Term {
		s.awaitServing(0)
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		struck := s.killPrimary()
		last = s.awaitServing(struck.LastCommit.Term)
		s.start(struck.Line[0].ServerID)
	}
	l.await(100)

	must(t, server.Stop())
	s.restore(server, saved)
	now := s.awaitServing(last.LastCommit.Term)
	for _, c := range changes(t, s.zk) {
		var was zkpaths.LastCommit
		if c.Path == s.root+zkpaths.Checkpoint(task) && zkpaths.Decode(c.Path, c.Data, &was) == nil && was.Term == last.LastCommit.Term {
			t.Fatalf("the history has term %d: nothing was restored", was.Term)
		}
	}
	t.Logf("restored to term %d, archived up to term %d, goes on in term %d", old.LastCommit.Term, last.LastCommit.Term, now.LastCommit.Term)
	l.stop()
	s.compare()
}

// restore runs a server that has ended on saved data, and opens the test's own sessions anew: the old ones have seen
// more than there is now, and are refused for ever.
func (s *stage) restore(server *servers.ZooKeeperServer, saved string) {
	s.t.Helper()
	must(s.t, os.RemoveAll(server.DataDir()))
	copyFolder(s.t, saved, server.DataDir())
	must(s.t, server.Start(s.t.Context()))
	var err error
	s.sess, err = coord.Open(s.t.Context(), coord.Config{Servers: strings.Split(s.zk.Addr(), ","), Root: s.root, Timeout: lasting, Logger: zerolog.Nop()})
	must(s.t, err)
	s.t.Cleanup(s.sess.Close)
	s.hand, _, err = zk.Connect(strings.Split(s.zk.Addr(), ","), lasting, zk.WithLogInfo(false))
	must(s.t, err)
	s.t.Cleanup(s.hand.Close)
}
