//go:build faults

//faults:worker

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// faultyKinds are the sources under which a fault strikes, and how often: least where the source makes no difference.
var faultyKinds = []struct {
	kind  servers.Kind
	kills int
}{{servers.MySQL, 20}, {servers.MariaDB1011, 5}, {servers.MariaDB118, 5}}

func TestKilledPrimary(t *testing.T) {
	for _, test := range faultyKinds {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			s := newStage(t, test.kind, "--max-binlog-size=1M")
			s.createTask()
			s.start("1", "2", "3")
			l := startLoad(t, s.src)
			var term int64
			for range test.kills {
				s.await("a claim", func(v view) bool { return claimed(v, term) })
				// Most of what can go wrong goes wrong soon after a claim.
				most := []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 1500 * time.Millisecond}
				<-time.After(time.Duration(random.Int64N(int64(most[random.IntN(len(most))]))))
				struck := s.killPrimary()
				term = struck.LastCommit.Term
				s.start(struck.Line[0].ServerID)
			}
			s.awaitServing(term)
			l.stop()
			s.compare()
		})
	}
}

// A primary that is stopped for longer than its session lasts wakes up as a zombie, with all that it was about to do.
func TestStoppedPrimaryWakesUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	for range 3 {
		s.awaitServing(0)
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		zombie := s.strike(func(p *servers.Program) { must(t, p.Pause()) })
		old := zombie.Line[0]
		after := s.awaitServing(zombie.LastCommit.Term)
		if after.Line[0].ServerID == old.ServerID || !s.gone(zkpaths.Member(task, old.Name)) {
			t.Fatalf("the session of %s has not expired: %+v", old.Name, after.Line)
		}
		l.await(50)
		woken := time.Now()
		must(t, s.workers[old.ServerID].Continue())
		s.await("the zombie's return to the line", func(v view) bool {
			return len(v.Line) == 2 && v.Line[1].ServerID == old.ServerID
		})
		l.await(50)
		s.wantSilent(old, zombie.LastCommit.Term, woken)
	}
	l.stop()
	s.compare()
}

// wantSilent wants no write of an instance's session after a time, below its task, and no segment of its term behind
// one of a later term.
func (s *stage) wantSilent(zombie coord.Member, term int64, since time.Time) {
	s.t.Helper()
	for _, c := range changes(s.t, s.zk) {
		if c.Session == zombie.Session && c.At.After(since) && strings.HasPrefix(c.Path, s.root) {
			s.t.Errorf("%s of term %d has changed %s after its session had expired", zombie.Name, term, c.Path)
		}
	}
	s.checkSegments()
}

// outages are how ZooKeeper goes away: it refuses connections, or keeps them and says nothing.
var outages = []struct {
	name   string
	strike func(*servers.ZooKeeperServer) error
	mend   func(context.Context, *servers.ZooKeeperServer) error
	lasts  time.Duration
}{
	{"killed", func(z *servers.ZooKeeperServer) error { z.Kill(); return nil },
		func(ctx context.Context, z *servers.ZooKeeperServer) error { return z.Start(ctx) }, time.Minute},
	{"frozen", (*servers.ZooKeeperServer).Pause,
		func(_ context.Context, z *servers.ZooKeeperServer) error { return z.Continue() }, 20 * time.Second},
}

// While ZooKeeper is away the archive grows all the same.
func TestZooKeeperAway(t *testing.T) {
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			s := newStageAlone(t, servers.MySQL, "--max-binlog-size=1M")
			s.createTask()
			s.start("1", "2")
			l := startLoad(t, s.src)
			before := s.awaitServing(0)
			server := s.zk.Servers()[0]
			must(t, outage.strike(server))
			began := time.Now()
			if _, err := server.Mode(t.Context()); err == nil {
				t.Fatal("ZooKeeper answers, although it is away")
			}
			// At its beginning, and when every session would have expired many times over.
			for _, since := range []time.Duration{sessionTimeout, outage.lasts} {
				<-time.After(time.Until(began.Add(since)))
				had := s.storedBytes()
				l.await(200)
				s.awaitArchive(fmt.Sprintf("more than %d bytes of archive, ZooKeeper being away", had), func(bytes int64) bool { return bytes > had })
			}
			must(t, outage.mend(t.Context(), server))
			after := s.await("a commit", func(v view) bool {
				return claimed(v, 0) && (v.LastCommit.Term > before.LastCommit.Term || v.LastCommit.Commit > before.LastCommit.Commit)
			})
			if grown := after.LastCommit.Term - before.LastCommit.Term; grown > 2 { // one for each worker
				t.Errorf("the term has grown by %d", grown)
			}
			s.awaitServing(0)
			l.stop()
			s.compare()
		})
	}
}

func TestSourceRestarts(t *testing.T) {
	for _, test := range faultyKinds {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, test.kind, "--max-binlog-size=1M")
			s.createTask()
			s.start("1", "2")
			for round := range 4 {
				l := startLoad(t, s.src)
				s.awaitServing(0)
				l.await(100)
				if round%2 == 0 {
					s.src.Kill()
				} else {
					must(t, s.src.Stop())
				}
				l.broken()
				v := s.await("word that the source is away", func(v view) bool { return v.Status.State == zkpaths.StateStarting })
				if v.Status.Reason != "source-away" || v.Status.Detail == "" {
					t.Errorf("round %d: reason %q (%s), want source-away", round, v.Status.Reason, v.Status.Detail)
				}
				must(t, s.src.Start(t.Context()))
			}
			l := startLoad(t, s.src)
			l.await(100)
			s.awaitServing(0)
			l.stop()
			s.compare()
		})
	}
}

func TestAllWorkersDie(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	for range 2 {
		v := s.awaitServing(0)
		l.await(100)
		s.workers["1"].Kill()
		s.workers["2"].Kill()
		s.wantKilled("1")
		s.wantKilled("2")
		l.await(200)
		s.await("an empty line", func(v view) bool { return len(v.Line) == 0 })
		s.start("2", "1")
		s.awaitServing(v.LastCommit.Term)
	}
	l.stop()
	s.compare()
}

// damages are what an operator's slip, or a bug, may leave of lastCommit.
var damages = []struct {
	name string
	data []byte // nil: the node is deleted
}{{"deleted", nil}, {"garbage", []byte("\x00garbage{")}, {"empty", []byte{}}, {"without format", []byte("{}")}}

func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	path := zkpaths.Checkpoint(task)
	damage := func(data []byte) {
		if data == nil {
			s.remove(path)
		} else {
			s.overwrite(path, data)
		}
	}
	var term int64
	for _, d := range damages {
		term = s.awaitServing(term).LastCommit.Term
		l.await(20)
		damage(d.data)
		t.Logf("%s, under a running primary", d.name)
		term = s.awaitServing(term).LastCommit.Term

		s.terminate("1")
		s.terminate("2")
		damage(d.data)
		l.await(20)
		t.Logf("%s, while no worker runs", d.name)
		s.start("1", "2")
	}
	s.awaitServing(term)
	l.stop()
	s.compare()
}

func TestDeletedInstance(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.timeout = lasting
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	two := func(v view) bool { return len(v.Line) == 2 }
	var term int64
	for range 2 {
		term = s.awaitServing(term).LastCommit.Term
		old := s.await("a standby", two).Line

		s.remove(zkpaths.Member(task, old[1].Name))
		now := s.await("the standby's return", func(v view) bool { return two(v) && v.Line[1].Name != old[1].Name })
		if now.Line[0].Name != old[0].Name || now.Line[1].ServerID != old[1].ServerID || now.LastCommit.Term != term {
			t.Errorf("after the standby's instance was deleted the line is %+v, in term %d; it was %+v, in term %d", now.Line, now.LastCommit.Term, old, term)
		}
		l.await(20)
		old = now.Line
		s.remove(zkpaths.Member(task, old[0].Name))
		s.awaitServing(term)
		now = s.await("the old primary's return", two)
		if now.Line[0].Name != old[1].Name || now.Line[1].ServerID != old[0].ServerID {
			t.Errorf("after the primary's instance was deleted the line is %+v; it was %+v", now.Line, old)
		}
	}
	l.stop()
	s.compare()
}

// A paused task stays paused, whoever dies.
func TestPausedTask(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	s.setDesired(zkpaths.Paused)
	paused := func(after int64) func(v view) bool {
		return func(v view) bool {
			return v.Status.State == zkpaths.StatePaused && claimed(v, after) && v.Status.Instance == v.Line[0].Name
		}
	}
	v := s.await("a pause", paused(0))
	end := s.storedBytes()
	for range 3 {
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		l.await(50)
		struck := s.killPrimary()
		s.start(struck.Line[0].ServerID)
		v = s.await("the next primary's pause", paused(v.LastCommit.Term))
	}
	if now := s.storedBytes(); now != end {
		t.Errorf("the paused task's archive has grown from %d to %d bytes", end, now)
	}
	s.setDesired(zkpaths.Running)
	s.awaitServing(0)
	l.stop()
	s.compare()
}
