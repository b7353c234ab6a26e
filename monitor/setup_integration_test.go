//go:build integration

package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// patience is how long anything may take that has to happen, on a machine that runs other tests too. A sweep finds within
// 30 s what no watch has told.
const patience = time.Minute

// shared is the server of all tests that do not harm it. Each has a root of its own.
var shared string

func TestMain(m *testing.M) { os.Exit(withServer(m)) }

func withServer(m *testing.M) int {
	dir, err := os.MkdirTemp("", "monitor")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	zooKeeper, err := servers.StartZooKeeper(context.Background(), servers.ZooKeeperOptions{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = zooKeeper.Addr()
	code := m.Run()
	zooKeeper.Close()
	if err := goleak.Find(); err != nil && code == 0 { // once for all: tests run beside each other
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// silent drops what ZooKeeper's client says.
type silent struct{}

func (silent) Printf(string, ...any) {}

// worlds counts the roots that were given to tests.
var worlds atomic.Int64

// A world is an ensemble with tasks, written as workers write them, by nobody who
// lives.
type world struct {
	t      *testing.T
	server string
	root   string
	conn   *zk.Conn

	mu    sync.Mutex
	tasks map[string]*zkpaths.Status
}

func newWorld(t *testing.T, server string) *world {
	conn, _, err := zk.Connect([]string{server}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	w := &world{t: t, server: server, root: fmt.Sprintf("/%s-%d", t.Name(), worlds.Add(1)), conn: conn, tasks: map[string]*zkpaths.Status{}}
	w.make("", nil)
	w.make(zkpaths.Tasks, nil)
	return w
}

func (w *world) make(path string, data []byte) {
	w.t.Helper()
	if _, err := w.conn.Create(w.root+path, data, 0, zk.WorldACL(zk.PermAll)); err != nil {
		w.t.Fatalf("create %s: %v", path, err)
	}
}

func (w *world) set(path string, p zkpaths.Payload) {
	w.t.Helper()
	data, err := zkpaths.Encode(path, p)
	if err == nil {
		_, err = w.conn.Set(w.root+path, data, -1)
	}
	if err != nil {
		w.t.Fatalf("set %s: %v", path, err)
	}
}

// task makes a task with two workers of which the first is primary, in one step: a monitor that saw the half of it would
// say so.
func (w *world) task(id string) {
	w.t.Helper()
	status := zkpaths.NewStatus(time.Now())
	status = status.Say(zkpaths.StateRunning, placeOf("1"), 1, time.Now(), "", "", "")
	status.DurableTime = zkpaths.At(time.Now())
	w.mu.Lock()
	w.tasks[id] = &status
	w.mu.Unlock()
	var nodes []any
	node := func(path string, payload zkpaths.Payload) {
		var data []byte
		if payload != nil {
			var err error
			if data, err = zkpaths.Encode(path, payload); err != nil {
				w.t.Fatal(err)
			}
		}
		nodes = append(nodes, &zk.CreateRequest{Path: w.root + path, Data: data, Acl: zk.WorldACL(zk.PermAll)})
	}
	node(zkpaths.Task(id), specOf(zkpaths.Running))
	node(zkpaths.State(id), &status)
	node(zkpaths.Checkpoint(id), &zkpaths.LastCommit{Term: 1})
	node(zkpaths.Line(id), nil)
	for _, server := range []string{"1", "2"} {
		node(zkpaths.Member(id, placeOf(server).Name), nil)
	}
	if _, err := w.conn.Multi(nodes...); err != nil {
		w.t.Fatalf("create task %s: %v", id, err)
	}
}

// remove is task remove, without a worker to do it.
func (w *world) remove(id string) {
	w.t.Helper()
	session, err := coord.Open(w.t.Context(), w.config().ZooKeeper)
	if err != nil {
		w.t.Fatal(err)
	}
	defer session.Close()
	w.desire(id, zkpaths.Removed)
	if err := session.RemoveTask(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) desire(id, desired string) {
	w.t.Helper()
	w.set(zkpaths.Task(id), specOf(desired))
}

func specOf(desired string) *zkpaths.Spec {
	return &zkpaths.Spec{Source: "mysql://u@h:3306", Archive: "file:///archive", Desired: desired}
}

func (w *world) join(id, server string) {
	w.t.Helper()
	w.make(zkpaths.Member(id, placeOf(server).Name), nil)
}

func (w *world) leave(id, server string) {
	w.t.Helper()
	if err := w.conn.Delete(w.root+zkpaths.Member(id, placeOf(server).Name), -1); err != nil {
		w.t.Fatal(err)
	}
}

// say changes a task's status.
func (w *world) say(id string, change func(*zkpaths.Status)) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w.tasks[id])
	w.tasks[id].UpdatedAt = zkpaths.At(time.Now()) // as a worker does: no durable_time is later
	w.set(zkpaths.State(id), w.tasks[id])
}

// live keeps the durable time of tasks advancing until the test ends.
func (w *world) live(ids ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			for _, id := range ids {
				w.say(id, func(s *zkpaths.Status) { s.DurableTime = zkpaths.At(time.Now()) })
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	})
	w.t.Cleanup(func() { cancel(); ended.Wait() })
}

// config is a monitor's for this world.
func (w *world) config() Config {
	return Config{
		ZooKeeper: coord.Config{Servers: []string{w.server}, Root: w.root, Timeout: 2 * time.Second, Logger: zerolog.Nop()},
		Limits:    Limits{DurableMaxAge: 5 * time.Second, StallAfter: 5 * time.Second}, RepeatInterval: time.Hour,
		Logger: zerolog.New(zerolog.NewTestWriter(w.t)),
	}
}

// watch runs a monitor until stop, or the test's end.
func (w *world) watch(cfg Config) (m *Monitor, stop func()) {
	w.t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	cfg.Transport = transport
	m, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := m.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); ended.Wait(); transport.CloseIdleConnections() })
	w.t.Cleanup(stop)
	return m, stop
}

// A hook takes what a webhook posts.
type hook struct {
	t      *testing.T
	server *httptest.Server

	mu  sync.Mutex
	got []*Alert
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t}
	h.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m webhookMessage
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || len(m.Alerts) != 1 {
			t.Errorf("a request with %d alerts: %v", len(m.Alerts), err)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, m.Alerts[0])
	}))
	t.Cleanup(h.server.Close)
	return h
}

// said gives what came, as "task alertname status", without what is only news.
func (h *hook) said() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var said []string
	for _, a := range h.got {
		if !a.once() {
			said = append(said, strings.TrimSpace(a.Task()+" "+a.Name()+" "+a.Status))
		}
	}
	return said
}

// count is how often something was said.
func (h *hook) count(line string) int {
	n := 0
	for _, other := range h.said() {
		if other == line {
			n++
		}
	}
	return n
}

// await waits until something was said a number of times.
func (h *hook) await(within time.Duration, line string, times int) {
	h.t.Helper()
	for deadline := time.Now().Add(within); h.count(line) < times; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("not within %s: %d x %s; said was %q", within, times, line, h.said())
		}
	}
}

// changes gives the changes of a task that came, as "alertname from>to".
func (h *hook) changes(task string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var changes []string
	for _, a := range h.got {
		if a.once() && a.Task() == task {
			changes = append(changes, a.Name()+" "+a.Annotations["from"]+">"+a.Annotations["to"])
		}
	}
	return changes
}

func awaitReady(t *testing.T, m *Monitor) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := m.Ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(errors.Join(errors.New("the monitor does not get ready"), err))
		}
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
