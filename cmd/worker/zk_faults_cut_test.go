//go:build faults

//faults:zookeeper

package main

import (
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// proxied lets a worker that starts later reach ZooKeeper through a proxy.
func (s *stage) proxied(id string) *faultstest.Proxy {
	s.t.Helper()
	p := faultstest.NewProxy(s.t, s.zk.Addr(), faults.ZooKeeper)
	s.via[id] = p.Addr()
	return p
}

// cuts are how a worker's way to ZooKeeper fails, while the worker, ZooKeeper and the source are well.
var cuts = []struct {
	name    string
	strike  func(*faultstest.Proxy)
	expires bool // the session: it does not while ZooKeeper hears the worker, who tries to connect again and again
}{
	{"cut", (*faultstest.Proxy).Cut, true},
	{"silent", (*faultstest.Proxy).Freeze, true},
	{"without replies", (*faultstest.Proxy).DropReplies, false},
}

// A primary that is cut off from ZooKeeper goes on with what its open dump delivers, commits nothing, and opens no other
// dump. Back in time it goes on in the same term; too late it has nothing more to say.
func TestPrimaryIsCutOff(t *testing.T) {
	t.Parallel()
	const short, timeout = 1600 * time.Millisecond, 6 * time.Second // the client tries again after a second only
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.timeout = timeout
	s.createTask()
	proxies := map[string]*faultstest.Proxy{"1": s.proxied("1"), "2": s.proxied("2")}
	s.start("1")
	s.awaitServing(0)
	s.start("2")
	l := startLoad(t, s.src)
	c := newClient(t, s.src)
	for _, cut := range cuts {
		t.Logf("%s, for less than the session lasts", cut.name)
		before := s.awaitServing(0)
		proxy, dumps := proxies[before.Line[0].ServerID], c.dumps()
		cut.strike(proxy)
		<-time.After(short)
		proxy.Heal()
		s.await("a commit after a short cut", func(v view) bool { return v.LastCommit.Commit > before.LastCommit.Commit+1 })
		if now := s.look().LastCommit.Term; now != before.LastCommit.Term {
			t.Errorf("the term went from %d to %d over a cut of %s", before.LastCommit.Term, now, short)
		}
		if now := c.dumps(); len(now) != 1 || now[0] != dumps[0] {
			t.Errorf("the dump of connection %v was replaced by that of %v", dumps, now)
		}

		if cut.expires {
			t.Logf("%s, until the session has expired", cut.name)
			s.cutUntilReplaced(proxy, cut.strike, c, l)
		}
	}
	l.stop()
	s.compare()
}

// cutUntilReplaced cuts the primary off until another one has its place, and wants it to change nothing from then on.
func (s *stage) cutUntilReplaced(proxy *faultstest.Proxy, strike func(*faultstest.Proxy), c *client, l *load) {
	s.t.Helper()
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 && claimed(v, 0) })
	strike(proxy)
	proxy.AwaitStruck()
	had := s.storedBytes()
	s.awaitArchive("more of the archive, the primary being cut off", func(bytes int64) bool { return bytes > had })
	if v := s.look(); v.LastCommit.Term != before.LastCommit.Term {
		s.t.Fatalf("the term is %d already", v.LastCommit.Term)
	}
	killed := s.killOpenDump(c, before.LastCommit.Term)
	s.await("another primary", func(v view) bool {
		if ids := c.dumps(); claimed(v, 0) && v.LastCommit.Term == before.LastCommit.Term && len(ids) > 0 && ids[0] != killed {
			if again := s.look(); again.LastCommit.Term == before.LastCommit.Term { // so the dump was its
				s.t.Errorf("the primary that is cut off has opened a dump")
			}
		}
		return claimed(v, before.LastCommit.Term)
	})
	s.awaitServing(before.LastCommit.Term)
	healed := time.Now()
	proxy.Heal()
	s.awaitBehind(before.Line[0])
	l.await(50)
	s.wantSilent(before.Line[0], before.LastCommit.Term, healed)
}

// killOpenDump ends the dump of the primary of a term, which is cut off, and returns which it was.
func (s *stage) killOpenDump(c *client, term int64) int64 {
	s.t.Helper()
	ids := c.dumps()
	if v := s.look(); v.LastCommit.Term != term || len(ids) != 1 {
		s.t.Fatalf("the dumps %v in term %d, want one in term %d", ids, v.LastCommit.Term, term)
	}
	return c.killDump(0)
}

// awaitBehind waits until a worker that was first stands in the line anew, behind the primary.
func (s *stage) awaitBehind(old coord.Member) {
	s.t.Helper()
	s.await("the old primary's return to the line", func(v view) bool {
		return len(v.Line) == 2 && v.Line[1].ServerID == old.ServerID && v.Line[1].Name != old.Name
	})
}

// A server of ZooKeeper's that has forgotten the session grants another one without a word: to the worker that is an
// expired session, though the old one lives on.
func TestSessionIsSwapped(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	proxy := s.proxied("1")
	s.start("1")
	before := s.awaitServing(0)
	s.start("2")
	l := startLoad(t, s.src)
	s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	swapped := false
	proxy.Script(func(f faults.Packet) faults.Action {
		if swapped || f.Direction != faults.Replies || f.Op != faults.OpOpen {
			return faults.Pass
		}
		swapped = true
		f.Body[15] ^= 0x55 // the lowest byte of the session's id
		return faults.Alter
	})
	proxy.Kill()
	s.awaitServing(before.LastCommit.Term)
	s.awaitBehind(before.Line[0])
	proxy.Heal()
	l.stop()
	s.compare()
}

// The primary sleeps for less than its session lasts: nobody notices.
func TestPrimaryNods(t *testing.T) {
	t.Parallel()
	const nod, timeout = 4 * time.Second, 12 * time.Second // longer than between two pings, and far shorter than the session lasts
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.timeout = timeout
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	before := s.awaitServing(0)
	s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	for range 3 {
		v := s.look()
		pid := s.workers[v.Line[0].ServerID].Pid()
		faultstest.Stop(t, pid)
		<-time.After(nod)
		faultstest.Continue(t, pid)
		s.await("a commit after a nod", func(now view) bool { return now.LastCommit.Commit > v.LastCommit.Commit+1 })
	}
	if now := s.look(); now.LastCommit.Term != before.LastCommit.Term || now.Line[0].Name != before.Line[0].Name {
		t.Errorf("the term went from %d to %d, the line is %+v", before.LastCommit.Term, now.LastCommit.Term, now.Line)
	}
	l.stop()
	s.compare()
}

// The primary is put to sleep when its segment is durable and the commit of it on its way, which arrives when another
// one has long taken over: what was archived is gone on from, and the commit changes nothing.
func TestStoppedBetweenArchiveAndCommit(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	proxy := s.proxied("1")
	s.start("1")
	s.awaitServing(0)
	s.start("2")
	l := startLoad(t, s.src)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	proxy.Script(faults.Nth(2, faults.Hold, faults.RequestOf(faults.ZooKeeperMulti)))
	proxy.AwaitStruck()
	faultstest.Stop(t, s.workers["1"].Pid())
	orphans := s.chainEnd()
	v := s.look()
	if v.LastCommit.Term != before.LastCommit.Term || orphans.File == v.LastCommit.File && orphans.End <= v.LastCommit.Position {
		t.Fatalf("the archive ends at %s:%d, the checkpoint is %+v: nothing lies between them", orphans.File, orphans.End, v.LastCommit)
	}
	s.awaitServing(before.LastCommit.Term)
	woken := time.Now()
	proxy.Heal() // the commit arrives
	faultstest.Continue(t, s.workers["1"].Pid())
	s.awaitBehind(before.Line[0])
	s.wantSilent(before.Line[0], before.LastCommit.Term, woken)
	for _, m := range s.segments() {
		if m.Term > orphans.Term && m.File == orphans.File && m.Start < orphans.End {
			t.Errorf("term %d has archived %s from %d, which term %d had up to %d", m.Term, m.File, m.Start, orphans.Term, orphans.End)
		}
	}
	l.stop()
	s.compare()
}

// Every packet to ZooKeeper and back takes a second: nothing flaps.
func TestSlowZooKeeper(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second // the default
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.timeout = timeout
	s.createTask()
	proxies := []*faultstest.Proxy{s.proxied("1"), s.proxied("2")}
	s.start("1")
	s.awaitServing(0)
	s.start("2")
	l := startLoad(t, s.src)
	before := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
	for _, p := range proxies {
		p.Delay(time.Second)
	}
	for began := time.Now(); time.Since(began) < timeout+timeout/10; {
		last := s.look().LastCommit.Commit
		v := s.await("a slow commit", func(v view) bool { return v.LastCommit.Commit > last })
		if v.LastCommit.Term != before.LastCommit.Term || len(v.Line) != 2 || v.Status.State != zkpaths.StateRunning || v.Status.Changes != before.Status.Changes {
			t.Fatalf("it flaps: line %+v, status %+v, term %d; before: %+v", v.Line, v.Status, v.LastCommit.Term, before.Status)
		}
	}
	l.stop()
	for _, p := range proxies {
		p.Heal()
	}
	s.compare()
}
