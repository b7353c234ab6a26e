//go:build integration

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
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

func TestTerminatedPrimary(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	var term int64
	for range 12 {
		v := s.awaitServing(term)
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		term = v.LastCommit.Term
		id := v.Line[0].ServerID
		s.strike(func(*servers.Program) { s.terminate(id) })
		if left := s.look(); len(left.Line) > 0 && left.Line[0].Name == v.Line[0].Name {
			t.Errorf("worker %s has ended in order, and left its instance behind", id)
		}
		s.start(id)
	}
	s.awaitServing(term)
	l.stop()
	s.compare()
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
	for _, c := range history(s.t, s.zk.Servers()[0].DataDir()) {
		if c.session == zombie.Session && c.at.After(since) && strings.HasPrefix(c.path, s.root) {
			s.t.Errorf("%s of term %d has changed %s after its session had expired", zombie.Name, term, c.path)
		}
	}
	s.checkSegments()
}

// While ZooKeeper is away the archive grows all the same.
func TestZooKeeperAway(t *testing.T) {
	t.Parallel()
	const away = 30 * time.Second
	s := newStageAlone(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	before := s.awaitServing(0)
	server := s.zk.Servers()[0]
	server.Kill()
	began := time.Now()
	if server.Running() {
		t.Fatal("ZooKeeper runs, although it was killed")
	}
	atFirst := s.storedBytes()
	// Twice: at its beginning, and when every session would have expired three times over.
	for _, until := range []time.Duration{3 * time.Second, away} {
		<-time.After(time.Until(began.Add(until)))
		l.await(200)
		s.awaitArchive(fmt.Sprintf("more than %d bytes of archive, ZooKeeper being away", atFirst), func(bytes int64) bool { return bytes > atFirst })
		atFirst = s.storedBytes()
	}
	must(t, server.Start(t.Context()))
	after := s.await("a commit", func(v view) bool {
		return claimed(v, 0) && (v.LastCommit.Term > before.LastCommit.Term || v.LastCommit.Commit > before.LastCommit.Commit)
	})
	if grown := after.LastCommit.Term - before.LastCommit.Term; grown > 2 { // a claim, and the walk behind it
		t.Errorf("the term has grown by %d", grown)
	}
	s.awaitServing(0)
	l.stop()
	s.compare()
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

// SIGTERM at once, and while the worker catches up, is an orderly end.
func TestTerminatedEarly(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=8M", "--sync-binlog=0")
	s.createTask()
	backlog(t, s.src, 120)
	for n := range 6 {
		s.start("1")
		s.awaitLog("1", n+1, `"worker starts"`)
		<-time.After(time.Duration(n) * 30 * time.Millisecond)
		s.terminate("1")
	}
	var caught int
	for caught < 4 {
		end := s.look().LastCommit
		s.start("1")
		v := s.await("catching up", func(v view) bool {
			return v.LastCommit.File != "" && (v.LastCommit.File != end.File || v.LastCommit.Position != end.Position)
		})
		if files := s.binlogFiles(); v.LastCommit.File == filepath.Base(files[len(files)-1]) {
			t.Fatalf("the worker had caught up before it was told to end, after %d times", caught)
		}
		s.terminate("1")
		caught++
	}
	s.start("1")
	s.compare()
}

// A second SIGTERM ends a worker at once that cannot end in order.
func TestTerminatedTwice(t *testing.T) {
	t.Parallel()
	s := newStageAlone(t, servers.MySQL)
	s.createTask()
	s.start("1")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	must(t, s.zk.Servers()[0].Pause()) // a hand-over waits for it
	p := s.workers["1"]
	s.signal(p, syscall.SIGTERM)
	<-time.After(sessionTimeout / 4)
	s.signal(p, syscall.SIGTERM)
	s.awaitExit(p, time.Second)
	if code := p.ExitCode(); code != 143 {
		t.Errorf("exit code %d after a second SIGTERM, want 143", code)
	}
	s.expected["1"] = 143
	must(t, s.zk.Servers()[0].Continue())
	s.start("2")
	s.awaitServing(1)
	l.stop()
	s.compare()
}

func TestServerIDTaken(t *testing.T) {
	t.Parallel()
	const twoTicks, slack = 4 * time.Second, 3 * time.Second
	s := newStage(t, servers.MySQL)
	s.createTask()
	s.start("1")
	v := s.awaitServing(0)
	began := time.Now()
	second := s.spawn("second", "1")
	s.awaitExit(second, sessionTimeout+twoTicks+slack)
	if took := time.Since(began); took < sessionTimeout {
		t.Errorf("it gave up after %s: a holder that has just died lives as long as its session, %s", took, sessionTimeout)
	}
	if code := second.ExitCode(); code != 5 {
		t.Errorf("exit code %d, want 5", code)
	}
	log := string(read(t, second.Log()))
	if holder := fmt.Sprintf("process %d on ", s.workers["1"].Pid()); !strings.Contains(log, holder) || !strings.Contains(log, "\nhint: ") {
		t.Errorf("no %q, or no hint, in:\n%s", holder, log)
	}
	if now := s.look(); now.LastCommit.Term != v.LastCommit.Term || len(now.Line) != 1 || now.Line[0].Name != v.Line[0].Name {
		t.Errorf("the first one was disturbed: %+v, term %d", now.Line, now.LastCommit.Term)
	}
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
