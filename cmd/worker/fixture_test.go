//go:build integration

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// program is the worker under test, built with the race detector.
var program string

// plainProgram is the same without, for gigabytes, built when it is first asked for.
var plainProgram = sync.OnceValue(func() string {
	plain := program + "-plain"
	if err := build(plain); err != nil {
		panic(err)
	}
	return plain
})

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
	program = filepath.Join(dir, "worker")
	if err := build(program, "-race"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if ensemble, err = startEnsemble(filepath.Join(dir, "zookeeper")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ensemble.Close()
	return m.Run()
}

// build builds the worker.
func build(path string, flags ...string) error {
	args := slices.Concat([]string{"build", "-o", path}, flags, []string{"."})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the worker: %w\n%s", err, out)
	}
	return nil
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
	secrets  string         // the folder from which workers take passwords
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
		t: t, zk: ensemble, root: root, dir: t.TempDir(), secrets: t.TempDir(), src: src, workers: map[string]*servers.Program{}, program: program, timeout: sessionTimeout,
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
		Source: s.src.URL(), PasswordRef: "env:BINKEEPER_SECRET_STAGE", Archive: "file://" + s.dir, Start: "earliest", SegmentSize: 256 << 10,
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
