//go:build integration && scale

package monitor

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"golang.org/x/sync/errgroup"

	"binkeeper/zkpaths"
)

const (
	fleetSize    = 10_000
	measuredFor  = 2 * time.Minute
	latencyBound = 2 * time.Second // of the slowest alert
	memoryBound  = 200 << 20       // bytes
)

// TestScale measures the program: 10,000 tasks whose primaries write their status
// every 10 s, and 100 changes of state a second, on a real ZooKeeper.
//
//	go test -tags integration,scale -run TestScale -v ./monitor
func TestScale(t *testing.T) {
	w := newWorld(t, shared)
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(32)
	for i := range fleetSize {
		group.Go(func() error { w.create(taskName(i)); return nil })
	}
	group.Wait()
	t.Logf("%d tasks made in %s", fleetSize, time.Since(began).Round(time.Second))

	s := &stopwatch{begun: map[string]time.Time{}}
	hook := httptest.NewServer(http.HandlerFunc(s.receive))
	defer hook.Close()
	address, pid := startMonitor(t, w, hook.URL)
	began = time.Now()
	for !answers(address + "/readyz") {
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("ready after %s", time.Since(began).Round(100*time.Millisecond))

	cpu := cpuTime(t, pid)
	began = time.Now()
	w.change(s)
	used := cpuTime(t, pid) - cpu
	elapsed := time.Since(began)
	time.Sleep(latencyBound)
	memory := peak(t, pid)
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.took)
	if len(s.took) == 0 || len(s.begun) > 0 {
		t.Fatalf("%d alerts came, %d did not", len(s.took), len(s.begun))
	}
	at := func(q float64) time.Duration { return s.took[int(q*float64(len(s.took)-1))].Round(time.Millisecond) }
	t.Logf("%d changes in %s: an alert after %s (median), %s (99%%), %s (slowest); %d statuses written, the slowest in %s; peak memory %d MiB, %.0f%% of a core",
		len(s.took), elapsed.Round(time.Second), at(.5), at(.99), at(1), s.refreshed.Load(), s.slowest.Round(time.Millisecond), memory>>20, 100*used.Seconds()/elapsed.Seconds())
	if at(1) > latencyBound || memory > memoryBound {
		t.Errorf("want an alert within %s, and under %d MiB", latencyBound, memoryBound>>20)
	}
}

func taskName(i int) string { return fmt.Sprintf("task-%05d", i) }

// create makes a task with a full record of transitions.
func (w *world) create(id string) {
	status := zkpaths.NewStatus(time.Now())
	for i := range zkpaths.MaxTransitions {
		status = status.Say([]string{zkpaths.StateBlocked, zkpaths.StateRunning}[i%2], placeOf("1"), 1, time.Now(), "", "", "")
	}
	spec := zkpaths.Spec{Source: "mysql://u@h:3306", Archive: "file:///archive", Desired: zkpaths.Running}
	ops := []any{w.createOp(zkpaths.Task(id), &spec), w.createOp(zkpaths.State(id), &status), w.createOp(zkpaths.Checkpoint(id), &zkpaths.LastCommit{}),
		w.createOp(zkpaths.Line(id), nil), w.createOp(zkpaths.Member(id, placeOf("1").Name), nil), w.createOp(zkpaths.Member(id, placeOf("2").Name), nil)}
	if _, err := w.conn.Multi(ops...); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks[id] = &status
}

func (w *world) createOp(path string, p zkpaths.Payload) *zk.CreateRequest {
	var data []byte
	if p != nil {
		var err error
		if data, err = zkpaths.Encode(path, p); err != nil {
			w.t.Error(err)
		}
	}
	return &zk.CreateRequest{Path: w.root + path, Data: data, Acl: zk.WorldACL(zk.PermAll)}
}

// change changes the state of 100 tasks a second, and has every status written
// every 10 s besides.
func (w *world) change(s *stopwatch) {
	var group errgroup.Group
	group.SetLimit(64)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	next := 0
	for n := range int(measuredFor / (10 * time.Millisecond)) {
		<-tick.C
		id, mark := taskName(rand.IntN(fleetSize)), "mark-"+strconv.Itoa(n)
		group.Go(func() error { return w.write(id, s, mark) })
		for range fleetSize / 1000 {
			id := taskName(next)
			next = (next + 1) % fleetSize
			group.Go(func() error { return w.write(id, s, "") })
		}
	}
	if err := group.Wait(); err != nil {
		w.t.Error(err)
	}
}

// write writes a status as a primary does; one with a mark is a change.
func (w *world) write(id string, s *stopwatch, mark string) error {
	w.mu.Lock()
	status := w.tasks[id]
	status.DurableTime = zkpaths.At(time.Now())
	if mark != "" {
		state := zkpaths.StateStarting
		if status.State == state {
			state = zkpaths.StateRunning
		}
		*status = status.Say(state, placeOf("1"), 1, time.Now(), mark, "", "")
		s.start(mark)
	} else {
		s.refreshed.Add(1)
	}
	data, err := zkpaths.Encode(zkpaths.State(id), status)
	w.mu.Unlock()
	began := time.Now()
	if err == nil {
		_, err = w.conn.Set(w.root+zkpaths.State(id), data, -1)
	}
	s.wrote(time.Since(began))
	return err
}

// A stopwatch takes the time from a change to its alert.
type stopwatch struct {
	refreshed atomic.Int64
	mu        sync.Mutex
	begun     map[string]time.Time // by mark
	took      []time.Duration
	slowest   time.Duration // of the writes
}

func (s *stopwatch) wrote(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowest = max(s.slowest, took)
}

func (s *stopwatch) start(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[mark] = time.Now()
}

func (s *stopwatch) receive(_ http.ResponseWriter, r *http.Request) {
	var m webhookMessage
	if json.NewDecoder(r.Body).Decode(&m) != nil || len(m.Alerts) != 1 {
		return
	}
	_, mark, _ := strings.Cut(m.Alerts[0].Annotations["description"], "Reason: ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun, ok := s.begun[strings.TrimSuffix(mark, ".")]; ok {
		s.took = append(s.took, time.Since(begun))
		delete(s.begun, strings.TrimSuffix(mark, "."))
	}
}

// startMonitor builds and starts the program, and gives its URL and process.
func startMonitor(t *testing.T, w *world, hook string) (address string, pid int) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "monitor")
	if out, err := exec.Command("go", "build", "-o", program, "binkeeper/cmd/monitor").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const listen = "127.0.0.1:11909"
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--zookeeper", w.server+w.root, "--listen", listen, "--webhook", hook, "--state-file", filepath.Join(dir, "state.json"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		log.Close()
	})
	return "http://" + listen, cmd.Process.Pid
}

func answers(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// peak is the most memory, in bytes, that a process has had resident.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// cpuTime is what a process has used, in the ticks of 10 ms that Linux shows.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
