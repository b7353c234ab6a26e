//go:build faults

//faults:worker

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/faults"
	"binkeeper/internal/history"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// A worker is told to end while its claim is on the way: it leaves in order, whether the claim has taken effect or not.
func TestTerminatedDuringClaim(t *testing.T) {
	for _, direction := range []faults.Direction{faults.Requests, faults.Replies} {
		t.Run(map[faults.Direction]string{faults.Requests: "before", faults.Replies: "after"}[direction]+" it took effect", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, servers.MySQL)
			s.createTask()
			door := s.proxied("1")
			door.Script(func(p faults.Packet) faults.Action {
				if p.Op == faults.ZooKeeperMulti && p.Direction == direction {
					return faults.Hold
				}
				return faults.Pass
			})
			s.start("1")
			l := startLoad(t, s.src)
			for deadline := time.Now().Add(patience); door.Struck(faults.Freeze) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the claim has never come")
				}
			}
			p := s.workers["1"]
			s.signal(p, syscall.SIGTERM)
			<-time.After(sessionTimeout / 8) // what the worker does at once, it does now
			door.Proxy.Heal()
			s.awaitExit(p, patience)
			if code := p.ExitCode(); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0\n%s", code, s.logOf("1"))
			}
			if line := s.look().Line; len(line) != 0 {
				t.Errorf("it has left its instance behind: %+v", line)
			}
			s.start("2")
			s.awaitServing(0)
			l.stop()
			s.compare()
		})
	}
}

// Workers are told to end while one hands over to the other: the one, the other, or both.
func TestTerminatedDuringHandOver(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	var term int64
	for round := range 9 {
		s.awaitServing(term)
		v := s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		term = v.LastCommit.Term
		s.change(func(spec *zkpaths.Spec) { spec.SwitchoverTo = v.Line[1].Name })
		<-time.After(time.Duration(rand.Int64N(int64(40 * time.Millisecond))))
		ending := []string{v.Line[0].ServerID, v.Line[1].ServerID}
		if round%3 < 2 {
			ending = ending[round%3:][:1]
		}
		for _, id := range ending {
			s.signal(s.workers[id], syscall.SIGTERM)
		}
		for _, id := range ending {
			s.awaitExit(s.workers[id], patience)
			if code := s.workers[id].ExitCode(); code != 0 {
				t.Errorf("worker %s ended with exit code %d after SIGTERM, want 0\n%s", id, code, s.logOf(id))
			}
		}
		s.start(ending...)
	}
	s.awaitServing(term)
	l.stop()
	s.compare()
}

// A task is paused and resumed 200 times, mostly before the pause or the dump before it has come about.
func TestPausedTwoHundredTimes(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	in := func(state string) func(v view) bool {
		return func(v view) bool { return v.Status.State == state }
	}
	for n := range 200 {
		s.setDesired(zkpaths.Paused)
		<-time.After(time.Duration(rand.Int64N(int64(25 * time.Millisecond))))
		if n%20 == 0 {
			s.await("a pause", in(zkpaths.StatePaused))
		}
		s.setDesired(zkpaths.Running)
		<-time.After(time.Duration(rand.Int64N(int64(25 * time.Millisecond))))
		if n%20 == 0 {
			s.await("a dump", in(zkpaths.StateRunning))
		}
	}
	v := s.await("a dump", in(zkpaths.StateRunning))
	if v.Status.Changes < 40 {
		t.Errorf("the state has changed %d times", v.Status.Changes)
	}
	l.stop()
	s.compare()
}

func TestSwitchoversInALoop(t *testing.T) {
	t.Parallel()
	testSwitchovers(t, 10*time.Second)
}

// testSwitchovers hands the task over from one worker to the next, under load.
func testSwitchovers(t *testing.T, lasts time.Duration) {
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2", "3")
	l := startLoad(t, s.src)
	var term int64
	var switched int
	for end := time.Now().Add(lasts); switched < 5 || time.Now().Before(end); switched++ {
		s.awaitServing(term)
		v := s.await("a standby", func(v view) bool { return len(v.Line) > 1 })
		term = v.LastCommit.Term
		to := v.Line[1+rand.IntN(len(v.Line)-1)]
		s.change(func(spec *zkpaths.Spec) { spec.SwitchoverTo = to.Name })
		s.await("the successor", func(v view) bool {
			return claimed(v, term) && (v.Line[0].Name == to.Name || !slices.ContainsFunc(v.Line, func(m coord.Member) bool { return m.Name == to.Name }))
		})
	}
	s.awaitServing(0)
	l.stop()
	s.compare()
	t.Logf("%d switchovers", switched)
}

// Ten workers stand in one line, and are killed in random order until one is left; all come back, and it begins anew.
func TestTenWorkersKilledInRandomOrder(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.program = plainProgram()
	s.createTask()
	var ids []string
	for n := range 10 {
		ids = append(ids, fmt.Sprint(n+1))
	}
	l := startLoad(t, s.src)
	for range 2 {
		s.start(ids...)
		s.await("all of them in line", func(v view) bool { return len(v.Line) == len(ids) })
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids[1:] {
			s.workers[id].Kill()
			s.wantKilled(id)
			<-time.After(time.Duration(random.Int64N(int64(sessionTimeout / 2))))
		}
		v := s.await("the last one as primary", func(v view) bool { return len(v.Line) == 1 && claimed(v, 0) })
		if v.Line[0].ServerID != ids[0] {
			t.Fatalf("the last one alive is worker %s, the primary %s", ids[0], v.Line[0].ServerID)
		}
		s.awaitServing(0)
		s.terminate(ids[0])
	}
	s.start(ids...)
	s.awaitServing(0)
	l.stop()
	s.compare()
}

// Every worker is suspended for longer than the sessions last, as with the machines they run on, and wakes up.
func TestAllWorkersSuspended(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	before := s.awaitServing(0)
	for _, id := range []string{"1", "2"} {
		must(t, s.workers[id].Pause())
	}
	s.await("an empty line", func(v view) bool { return len(v.Line) == 0 })
	l.await(100)
	for _, id := range []string{"1", "2"} {
		must(t, s.workers[id].Continue())
	}
	s.awaitServing(before.LastCommit.Term)
	l.stop()
	s.compare()
}

// lastCommit is moved back by hand, under a running primary and while no worker runs: the archive tells where it ends.
func TestCheckpointMovedBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	s.await("a checkpoint in the first file", func(v view) bool { return v.LastCommit.Position > 0 })
	path := zkpaths.Checkpoint(task)
	older, _, err := s.hand.Get(s.root + path)
	must(t, err)
	term := s.look().LastCommit.Term
	const moves = 2
	for move := range moves {
		l.await(200)
		end := s.chainEnd()
		if move == 1 {
			s.terminate("1")
			s.terminate("2")
			end = s.chainEnd()
		}
		s.overwrite(path, older)
		if move == 1 {
			s.start("1", "2")
		}
		v := s.awaitServing(term)
		if was, is := fileNumber(t, end.File), fileNumber(t, v.LastCommit.File); is < was || is == was && v.LastCommit.Position < end.End {
			t.Errorf("the checkpoint was moved back, and is at %s:%d, before the archive's end at %s:%d", v.LastCommit.File, v.LastCommit.Position, end.File, end.End)
		}
		term = v.LastCommit.Term
	}
	l.stop()
	s.compareArchive()
	// A claim takes over what stands there; its walk, before anything else, goes on to the archive's end.
	verdict := history.Judge(changes(t, s.zk), s.root, task)
	for _, problem := range verdict.Problems {
		if !strings.Contains(problem, "the position has gone back") {
			t.Errorf("history: %s", problem)
		}
	}
	if len(verdict.Problems) > moves || verdict.ByHand < moves {
		t.Errorf("history: %d times out of order after %d changes by hand: %q", len(verdict.Problems), verdict.ByHand, verdict.Problems)
	}
}

// A task is removed, and made anew with the same name, while its primary is cut off from ZooKeeper: for longer than the
// session lasts, or for a moment in which somebody deletes every node.
func TestTaskMadeAnewWhileCutOff(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration // of the primary's session
		remove  func(s *stage)
	}{
		{"removed in order", sessionTimeout, func(s *stage) {
			s.await("a successor", func(v view) bool { return claimed(v, 1) && v.Line[0].ServerID == "2" })
			s.setDesired(zkpaths.Removed)
			s.awaitGone()
		}},
		{"deleted by hand", 30 * time.Second, func(s *stage) {
			for _, m := range s.look().Line {
				s.remove(zkpaths.Member(task, m.Name))
			}
			s.removeAll(zkpaths.Task(task))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, servers.MySQL, "--max-binlog-size=1M", "--sync-binlog=0")
			s.createTask()
			door := s.proxied("1")
			s.timeout = test.timeout
			s.start("1")
			s.timeout = sessionTimeout
			l := startLoad(t, s.src)
			s.awaitServing(0)
			s.start("2")
			s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
			door.Freeze()
			door.AwaitStruck()
			test.remove(s)
			removed := changes(t, s.zk)
			old := s.dir
			s.dir = t.TempDir()
			s.createTask(func(spec *zkpaths.Spec) { spec.TaskUID += "-anew" })
			s.awaitServing(0)
			door.Heal()
			s.await("both in the new line", func(v view) bool { return len(v.Line) == 2 })
			l.await(50)
			l.stop()
			s.compareArchive()
			s.checkHistoryAfter(removed[len(removed)-1].Zxid)

			anew := s.dir
			s.dir = old
			report, err := archive.New(s.store(), task).Verify(t.Context(), nil)
			if err != nil || !report.OK {
				t.Errorf("the old archive: %+v, %v", report, err)
			}
			kept := s.keepBinlogs()
			s.compareTimeline(1, kept, s.chainEnd())
			s.dir = anew
		})
	}
}

// awaitGone waits until no node of the task is left.
func (s *stage) awaitGone() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !s.gone(zkpaths.Task(task)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("the removed task's nodes are still there")
		}
	}
}

// removeAll deletes a znode by hand with all below it, also what comes meanwhile.
func (s *stage) removeAll(path string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !s.gone(path); {
		children, _, err := s.hand.Children(s.root + path)
		for _, child := range children {
			s.removeAll(path + "/" + child)
		}
		if err == nil {
			err = s.hand.Delete(s.root+path, -1)
		}
		if err != nil && time.Now().After(deadline) {
			s.t.Fatalf("delete %s by hand: %v", path, err)
		}
	}
}

// checkHistoryAfter is checkHistory for a task that was made anew after a transaction of ZooKeeper's.
func (s *stage) checkHistoryAfter(zxid int64) {
	s.t.Helper()
	later := slices.DeleteFunc(changes(s.t, s.zk), func(c history.Change) bool {
		return c.Path == s.root+zkpaths.Checkpoint(task) && c.Zxid <= zxid
	})
	verdict := history.Judge(later, s.root, task)
	for _, problem := range verdict.Problems {
		s.t.Errorf("history: %s", problem)
	}
	if verdict.Commits == 0 {
		s.t.Error("history: nobody has committed to the task that was made anew")
	}
}
