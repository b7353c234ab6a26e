package coord

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/zkpaths"
)

// The shared server's tick, the longest timeout that it grants, and what most
// tests ask for.
const (
	tick       = 200 * time.Millisecond
	maxTimeout = 8 * time.Second
	timeout    = 2 * time.Second
)

// standalone is the server of all tests that do not harm it. Each has a root of
// its own.
var standalone string

// roots counts the roots that were given to tests.
var roots atomic.Int64

// rootOf gives the test's own root: the same one at each call.
func rootOf(t *testing.T) string {
	if root, ok := rootByTest.Load(t); ok {
		return root.(string)
	}
	root := fmt.Sprintf("/%s-%d", strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()), roots.Add(1))
	rootByTest.Store(t, root)
	return root
}

var rootByTest sync.Map

// checkLeaks fails the test if anything that it starts from now on outlives it.
func checkLeaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

// open opens a session that is closed with the test.
func open(t *testing.T, servers ...string) *Session {
	t.Helper()
	s, err := Open(t.Context(), Config{Servers: servers, Root: rootOf(t), Timeout: timeout, Logger: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func testSpec() zkpaths.Spec {
	return zkpaths.Spec{
		Source: "mysql://u@127.0.0.1:3306?a=b&c=d", Archive: "file:///archive", Start: "earliest", SegmentSize: 8 << 20,
		FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second),
		Desired: zkpaths.Running, TaskUID: "uid",
	}
}

func createTask(t *testing.T, s *Session, id string) {
	t.Helper()
	if err := s.CreateTask(t.Context(), id, testSpec()); err != nil {
		t.Fatal(err)
	}
}

func join(t *testing.T, s *Session, task, serverID string) *Instance {
	t.Helper()
	i, err := s.Join(t.Context(), task, zkpaths.Instance{ServerID: serverID, Host: "h", PID: 1})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// claim claims the task at whatever stands in lastCommit.
func claim(ctx context.Context, i *Instance) (*Term, error) {
	last, version, err := i.LastCommit(ctx)
	if err != nil {
		return nil, err
	}
	status, err := i.Status(ctx)
	if err != nil {
		return nil, err
	}
	return i.Claim(ctx, last, version, status.Say(zkpaths.StateStarting, i.Place(), last.Term+1, time.Now(), "", "", ""))
}

func mustClaim(t *testing.T, i *Instance) *Term {
	t.Helper()
	term, err := claim(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func at(position int64) zkpaths.LastCommit {
	return zkpaths.LastCommit{Timeline: 1, File: "mysql-bin.000001", Position: position}
}

func look(t *testing.T, s *Session, task string) TaskView {
	t.Helper()
	view, err := s.Look(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// names gives the line as its members' names.
func names(line []Member) string {
	var all []string
	for _, m := range line {
		all = append(all, m.Name)
	}
	return strings.Join(all, " ")
}

// eventually fails the test unless ok becomes true within the bound.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// next receives one value of a follower within the bound.
func next[T any](t *testing.T, values <-chan T, within time.Duration) T {
	t.Helper()
	select {
	case v, ok := <-values:
		if !ok {
			t.Fatal("the follower has ended")
		}
		return v
	case <-time.After(within):
		t.Fatalf("no value within %s", within)
	}
	panic("not reached")
}

// newProxy gives a proxy in front of the shared server. A fault of it that never strikes fails the test.
func newProxy(t *testing.T) *faultstest.Proxy {
	t.Helper()
	return faultstest.NewProxy(t, standalone, faults.ZooKeeper)
}

// lostMulti are the halves of a Multi that may get lost with its connection.
var lostMulti = map[string]func(faults.Packet) bool{
	"reply lost": faults.ReplyTo(faults.ZooKeeperMulti), "request lost": faults.RequestOf(faults.ZooKeeperMulti),
}

// raw gives the client itself, for what only a test or a stranger does.
func raw(t *testing.T, s *Session) *rawClient {
	return &rawClient{t: t, conn: s.conn, root: s.cfg.Root}
}

type rawClient struct {
	t    *testing.T
	conn *zk.Conn
	root string
}

func (r *rawClient) set(path, data string) {
	r.t.Helper()
	if _, err := r.conn.Set(r.root+path, []byte(data), -1); err != nil {
		r.t.Fatalf("set %s: %v", path, err)
	}
}

func (r *rawClient) create(path, data string, flags int32) {
	r.t.Helper()
	if _, err := r.conn.Create(r.root+path, []byte(data), flags, anyone); err != nil {
		r.t.Fatalf("create %s: %v", path, err)
	}
}

func (r *rawClient) remove(path string) {
	r.t.Helper()
	if err := r.conn.Delete(r.root+path, -1); err != nil {
		r.t.Fatalf("delete %s: %v", path, err)
	}
}
