//go:build faults

//faults:zookeeper

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// The task is paused, and at last removed, at some time after its primary was killed: before the session of that has
// expired, at about the claim, and after it. It ends as the operator wants it, with no dump.
func TestOrdersDuringATakeover(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	c := newClient(t, s.src)
	for _, after := range []time.Duration{sessionTimeout / 4, sessionTimeout + 300*time.Millisecond, sessionTimeout + 600*time.Millisecond} {
		s.awaitServing(0)
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		struck := s.killPrimary()
		<-time.After(after)
		s.setDesired(zkpaths.Paused)
		s.await("the next primary's pause", func(v view) bool {
			return v.Status.State == zkpaths.StatePaused && claimed(v, struck.LastCommit.Term) && v.Status.Instance == v.Line[0].Name
		})
		s.wantNoDump(c, l)
		s.start(struck.Line[0].ServerID)
		s.setDesired(zkpaths.Running)
	}
	s.awaitServing(0)
	s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	s.compare()

	struck := s.killPrimary()
	s.setDesired(zkpaths.Removed)
	for deadline := time.Now().Add(patience); !s.gone(zkpaths.Task(task)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the task is not removed within %s", patience)
		}
	}
	s.start(struck.Line[0].ServerID)
	s.wantNoDump(c, l)
	l.stop()
}

// wantNoDump wants the source to send its binlog to nobody, and the archive to stay as it is.
func (s *stage) wantNoDump(c *client, l *load) {
	s.t.Helper()
	before := s.storedBytes()
	l.await(200)
	if ids := c.dumps(); len(ids) != 0 {
		s.t.Errorf("the source sends its binlog to connection %v", ids)
	}
	if now := s.storedBytes(); now != before {
		s.t.Errorf("the archive has grown from %d to %d bytes", before, now)
	}
}

// An operator deletes the whole line, and the node above it: places are counted from 0 again, and confuse nobody.
func TestLineIsDeleted(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	for range 3 { // so that the places are of higher numbers
		v := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		s.remove(zkpaths.Member(task, v.Line[0].Name))
		s.awaitServing(v.LastCommit.Term)
	}
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	s.removeLine()
	after := s.awaitServing(before.LastCommit.Term)
	after = s.await("a standby", func(v view) bool { return len(v.Line) == 2 && v.LastCommit.Term >= after.LastCommit.Term })
	if after.Line[0].Seq >= before.Line[0].Seq {
		t.Errorf("the line is %+v, before it was deleted %+v: its numbers have not begun again", after.Line, before.Line)
	}
	l.stop()
	s.compare()
}

// removeLine deletes the task's line in one go, as deleteall does again and again until nobody is faster.
func (s *stage) removeLine() {
	s.t.Helper()
	path := s.root + zkpaths.Line(task)
	for range 100 {
		children, _, err := s.hand.Children(path)
		must(s.t, err)
		var ops []any
		for _, child := range children {
			ops = append(ops, &zk.DeleteRequest{Path: path + "/" + child, Version: -1})
		}
		if _, err := s.hand.Multi(append(ops, &zk.DeleteRequest{Path: path, Version: -1})...); err == nil {
			return
		}
	}
	s.t.Fatal("the line could not be deleted")
}

// Somebody takes the right to write lastCommit away: that is said aloud, nothing flaps, nobody yields, since a standby would
// be forbidden the same, and it goes on in the same term when the right is given back.
func TestNodeIsForbidden(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.timeout = lasting
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	s.allow(zk.PermRead | zk.PermAdmin)
	s.await("word that lastCommit cannot be written", func(v view) bool { return v.Status.Reason != "" })
	for began := time.Now(); time.Since(began) < forbidden; <-time.After(100 * time.Millisecond) {
		v := s.look()
		said := v.Status
		if said.State != zkpaths.StateStarting || said.Reason != "coordination" || !strings.Contains(said.Detail, "not authenticated") || !strings.Contains(said.Hint, "ACL") {
			t.Fatalf("%s for %q: %s, hint %q", said.State, said.Reason, said.Detail, said.Hint)
		}
		if len(v.Line) != 2 || v.Line[0].Name != before.Line[0].Name || said.Instance != before.Line[0].Name {
			t.Fatalf("after %s the line is %+v, and %s speaks; it was %+v", time.Since(began), v.Line, said.Instance, before.Line)
		}
		if changes := said.Changes - before.Status.Changes; changes > 1 {
			t.Fatalf("the state has changed %d times in %s", changes, time.Since(began))
		}
	}
	l.await(100)
	s.allow(zk.PermAll)
	s.awaitServing(0)
	l.stop()
	s.compare()
	s.wantSamePrimary(before)
}

// allow sets what anybody may do with lastCommit.
func (s *stage) allow(permissions int32) {
	s.t.Helper()
	if _, err := s.hand.SetACL(s.root+zkpaths.Checkpoint(task), zk.WorldACL(permissions), -1); err != nil {
		s.t.Fatal(err)
	}
}

// The way to the source fails while ZooKeeper is well: the primary says so, and goes on when the way is back.
func TestCutOffFromTheSource(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	proxy := faultstest.NewProxy(t, s.src.Addr(), faults.MySQL)
	s.createTask(func(spec *zkpaths.Spec) { spec.Source = "mysql://" + servers.User + "@" + proxy.Addr() })
	s.timeout = lasting
	s.start("1", "2")
	l := startLoad(t, s.src)
	before := s.awaitServing(0)
	for _, fault := range []struct {
		name   string
		strike func()
	}{
		{"cut", proxy.Cut},
		{"silent", proxy.Freeze},
		{"slow, and broken off in mid-packet", func() {
			proxy.Delay(300 * time.Millisecond)
			proxy.Script(faults.Nth(50, faults.Break, faults.Going(faults.Replies)))
			proxy.AwaitStruck()
		}},
	} {
		fault.strike()
		v := s.await(fmt.Sprintf("word that the source is away: %s", fault.name), func(v view) bool {
			return v.Status.State == zkpaths.StateStarting && v.Status.Reason == "source-away"
		})
		if v.Status.Detail == "" {
			t.Errorf("%s: the status says nothing: %+v", fault.name, v.Status)
		}
		l.await(50)
		proxy.Heal()
		s.awaitServing(before.LastCommit.Term - 1)
	}
	if now := s.look().LastCommit.Term; now != before.LastCommit.Term {
		t.Errorf("the term went from %d to %d", before.LastCommit.Term, now)
	}
	l.stop()
	s.compare()
}
