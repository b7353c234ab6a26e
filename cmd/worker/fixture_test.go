//go:build integration

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

const (
	// task is the id of every stage's task.
	task = "orders"
	// sessionTimeout is the workers', short: most faults last until a session has expired.
	sessionTimeout = 2 * time.Second
	// lasting is a session timeout which outlives every outage, and however long a busy machine lets a process wait: the
	// most that a server grants. It is the test's own, and that of workers who are to keep their places.
	lasting = 40 * time.Second
	// patience is how long anything may take that has to happen, on a machine that runs other tests too.
	patience = time.Minute
)

// A view is all that stands in ZooKeeper of the task.
type view = coord.TaskView

// program is the worker under test, built with the race detector; plainProgram is the same without, for gigabytes.
var program, plainProgram string

// ensemble serves all tests that leave ZooKeeper alone, each below a root of its own.
var ensemble *servers.ZooKeeper

// parallelTests is how many tests run at a time: most of their time they wait, for a session to expire.
const parallelTests = "3"

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", parallelTests); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "binkeeper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, plainProgram = filepath.Join(dir, "worker-race"), filepath.Join(dir, "worker")
	for _, args := range [][]string{{"-race", "-o", program}, {"-o", plainProgram}} {
		if out, err := exec.Command("go", slices.Concat([]string{"build"}, args, []string{"."})...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the worker: %v\n%s", err, out)
			return 1
		}
	}
	if ensemble, err = startEnsemble(filepath.Join(dir, "zookeeper")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ensemble.Close()
	return m.Run()
}

// startEnsemble starts a ZooKeeper that does not sync its log: what these tests kill is processes, and a slow disk would
// only let sessions expire.
func startEnsemble(dir string) (*servers.ZooKeeper, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return servers.StartZooKeeper(ctx, servers.ZooKeeperOptions{Dir: dir, JavaArgs: []string{"-Dzookeeper.forceSync=no"}})
}

// A stage is a source, its task and archive, and the workers that serve it, each a process of its own.
type stage struct {
	t        *testing.T
	zk       *servers.ZooKeeper
	root     string // of all znodes
	src      *servers.Source
	dir      string         // the store
	timeout  time.Duration  // of the workers' sessions
	sess     *coord.Session // what the test sees
	hand     *zk.Conn       // an operator's hand in ZooKeeper
	workers  map[string]*servers.Program
	program  string
	expected map[string]int    // exit codes of workers that do not end with 0
	via      map[string]string // where a worker finds ZooKeeper, by its id; missing: where it is
}

// newStage starts a source with further options and creates its task. The ensemble is the one that all tests share.
func newStage(t *testing.T, kind servers.Kind, args ...string) *stage {
	t.Helper()
	return newStageOn(t, ensemble, kind, args...)
}

// newStageAlone is newStage with an ensemble that the test may do to what it likes.
func newStageAlone(t *testing.T, kind servers.Kind, args ...string) *stage {
	t.Helper()
	own, err := startEnsemble(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return newStageOn(t, own, kind, args...)
}

func newStageOn(t *testing.T, ensemble *servers.ZooKeeper, kind servers.Kind, args ...string) *stage {
	t.Helper()
	return stageOf(t, ensemble, "/"+strings.ReplaceAll(t.Name(), "/", "_"), servertest.StartSource(t, kind, args...))
}

// stageOf is a stage around a source that there is.
func stageOf(t *testing.T, ensemble *servers.ZooKeeper, root string, src *servers.Source) *stage {
	t.Helper()
	s := &stage{
		t: t, zk: ensemble, root: root, dir: t.TempDir(), src: src, workers: map[string]*servers.Program{}, program: program, timeout: sessionTimeout,
		expected: map[string]int{}, via: map[string]string{},
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	s.sess, err = coord.Open(ctx, coord.Config{Servers: strings.Split(s.zk.Addr(), ","), Root: s.root, Timeout: lasting, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sess.Close)
	if s.hand, _, err = zk.Connect(strings.Split(s.zk.Addr(), ","), lasting, zk.WithLogInfo(false)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.hand.Close)
	t.Cleanup(s.endWorkers)
	return s
}

// createTask creates the task with small segments, and checkpoints as often as they come, unless an edit says otherwise.
func (s *stage) createTask(edits ...func(*zkpaths.Spec)) {
	s.t.Helper()
	spec := zkpaths.Spec{
		Source: s.src.URL(), PasswordRef: "env:STAGE_PASSWORD", Archive: "file://" + s.dir, Start: "earliest", SegmentSize: 256 << 10,
		FlushInterval: zkpaths.Duration(100 * time.Millisecond), CheckpointInterval: zkpaths.Duration(50 * time.Millisecond),
		Desired: zkpaths.Running, TaskUID: "uid-" + s.root[1:], ReplicaUUID: "33333333-3333-3333-3333-333333333333",
		ReplicaServerID: 4711, CreatedAt: zkpaths.At(time.Now()),
	}
	for _, edit := range edits {
		edit(&spec)
	}
	if err := s.sess.CreateTask(s.t.Context(), task, spec); err != nil {
		s.t.Fatal(err)
	}
}

// start starts a worker, or one that has ended again.
func (s *stage) start(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		if p := s.workers[id]; p != nil {
			if err := p.Start(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		s.workers[id] = s.spawn("worker-"+id, id)
	}
}

// spawn starts a process with a server id, which need not be its own, and with more in its environment.
func (s *stage) spawn(name, id string, env ...string) *servers.Program {
	s.t.Helper()
	p, err := servers.StartProgram(s.t.Context(), servers.ProgramOptions{
		Name: name, Dir: filepath.Join(s.t.TempDir(), name),
		Command: []string{
			s.program, "--server-id", id, "--zookeeper", cmp.Or(s.via[id], s.zk.Addr()) + s.root, "--session-timeout", s.timeout.String(),
			"--listen", "127.0.0.1:0", "--log-format", "json",
		},
		Env: append(env, "STAGE_PASSWORD="+servers.Password),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Close)
	return p
}

// await waits until the task looks as wanted.
func (s *stage) await(what string, wanted func(view) bool) view {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		v := s.look()
		if wanted(v) {
			return v
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s has not come within %s: line %+v, status %+v, checkpoint %+v (%v)", what, patience, v.Line, v.Status, v.LastCommit, v.LastCommitErr)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *stage) look() view {
	s.t.Helper()
	v, err := s.sess.Look(s.t.Context(), task)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// awaitServing waits for a primary of a term above term that has its dump open and has committed.
func (s *stage) awaitServing(term int64) view {
	s.t.Helper()
	return s.await(fmt.Sprintf("a primary that archives in a term above %d", term), func(v view) bool {
		return claimed(v, term) && v.Status.State == zkpaths.StateRunning && v.Status.Instance == v.Line[0].Name && v.LastCommit.Commit > 0
	})
}

// claimed reports whether the first in line has claimed a term above term.
func claimed(v view, term int64) bool {
	return v.LastCommitErr == nil && len(v.Line) > 0 && v.LastCommit.Instance == v.Line[0].Name && v.LastCommit.Term > term
}

// strike does something to the process of the primary, which has to be alive and primary when it is hit, and returns
// the task as it was then.
func (s *stage) strike(do func(p *servers.Program)) view {
	s.t.Helper()
	v := s.look()
	if !claimed(v, 0) {
		s.t.Fatalf("there is no primary to hit: line %+v, checkpoint %+v", v.Line, v.LastCommit)
	}
	p := s.workers[v.Line[0].ServerID]
	if !p.Running() || p.Pid() != v.Line[0].Instance.PID {
		s.t.Fatalf("the primary is process %d, not %d (running: %t)", v.Line[0].Instance.PID, p.Pid(), p.Running())
	}
	do(p)
	return v
}

// killPrimary ends the primary with kill -9.
func (s *stage) killPrimary() view {
	s.t.Helper()
	v := s.strike((*servers.Program).Kill)
	s.wantKilled(v.Line[0].ServerID)
	return v
}

func (s *stage) wantKilled(id string) {
	s.t.Helper()
	if code := s.workers[id].ExitCode(); code != -1 {
		s.t.Fatalf("worker %s ended with exit code %d before it was killed\n%s", id, code, s.logOf(id))
	}
}

// terminate asks a worker to end in good order, and waits for that.
func (s *stage) terminate(id string) {
	s.t.Helper()
	p := s.workers[id]
	if !p.Running() {
		s.t.Fatalf("worker %s is not running\n%s", id, s.logOf(id))
	}
	if err := p.Stop(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.logOf(id))
	}
	if code := p.ExitCode(); code != 0 {
		s.t.Errorf("worker %s ended with exit code %d after SIGTERM, want 0\n%s", id, code, s.logOf(id))
	}
}

// signal sends a signal to a worker that runs.
func (s *stage) signal(p *servers.Program, sig syscall.Signal) {
	s.t.Helper()
	if !p.Running() {
		s.t.Fatalf("it is not running: exit code %d\n%s", p.ExitCode(), read(s.t, p.Log()))
	}
	if err := syscall.Kill(p.Pid(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// awaitExit waits until a process has ended.
func (s *stage) awaitExit(p *servers.Program, within time.Duration) {
	s.t.Helper()
	for deadline := time.Now().Add(within); p.Running(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the worker goes on after %s\n%s", within, read(s.t, p.Log()))
		}
	}
}

// endWorkers ends every worker in good order, and wants none to have raced or panicked.
func (s *stage) endWorkers() {
	for id, p := range s.workers {
		if p.Running() {
			if err := p.Stop(); err != nil {
				s.t.Error(err)
			}
		}
		if code := p.ExitCode(); code != s.expected[id] && code != -1 {
			s.t.Errorf("worker %s ended with exit code %d, want %d", id, code, s.expected[id])
		}
		if log := read(s.t, p.Log()); bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic: ")) {
			s.t.Errorf("worker %s raced or panicked", id)
		}
		if s.t.Failed() {
			s.t.Logf("log of worker %s:\n%s", id, s.logOf(id))
		}
	}
}

// logOf is the end of a worker's log.
func (s *stage) logOf(id string) []byte {
	const size = 6 << 10 // bytes
	log := read(s.t, s.workers[id].Log())
	return log[max(0, len(log)-size):]
}

// overwrite writes data over a znode by hand, whatever stands there.
func (s *stage) overwrite(path string, data []byte) {
	s.t.Helper()
	if _, err := s.hand.Set(s.root+path, data, -1); err != nil {
		s.t.Fatalf("write %s by hand: %v", path, err)
	}
}

// remove deletes a znode by hand, which has to be there.
func (s *stage) remove(path string) {
	s.t.Helper()
	if err := s.hand.Delete(s.root+path, -1); err != nil {
		s.t.Fatalf("delete %s by hand: %v", path, err)
	}
}

// gone reports whether there is no znode at path.
func (s *stage) gone(path string) bool {
	s.t.Helper()
	_, _, err := s.hand.Get(s.root + path)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		s.t.Fatal(err)
	}
	return err != nil
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// awaitLog waits until a worker has logged a text n times in all its runs.
func (s *stage) awaitLog(id string, n int, text string) {
	s.t.Helper()
	p := s.workers[id]
	for deadline := time.Now().Add(patience); bytes.Count(read(s.t, p.Log()), []byte(text)) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("worker %s has not logged %s within %s\n%s", id, text, patience, s.logOf(id))
		}
	}
}
