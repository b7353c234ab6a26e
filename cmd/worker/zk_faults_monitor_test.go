//go:build faults

//faults:zookeeper

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/internal/servers"
)

// steppable are the programs whose wall clocks can be stepped, built when they are first asked for.
var steppable = sync.OnceValues(buildSteppable)

func buildSteppable() (dir string, err error) {
	dir = filepath.Join(filepath.Dir(program), "steppable")
	for name, folder := range map[string]string{"worker": ".", "monitor": "../monitor"} {
		if err := faults.BuildWithClock(context.Background(), folder, filepath.Join(dir, name), "-race"); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// A watchman is a monitor, a process of its own, that watches a stage.
type watchman struct {
	t       *testing.T
	program *servers.Program
	addr    string
}

// startMonitor starts a monitor and waits until it sees all tasks.
func (s *stage) startMonitor(env ...string) *watchman {
	s.t.Helper()
	dir, err := steppable()
	must(s.t, err)
	port, err := servers.FreePort()
	must(s.t, err)
	w := &watchman{t: s.t, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	w.program, err = servers.StartProgram(s.t.Context(), servers.ProgramOptions{
		Name: "monitor", Dir: filepath.Join(s.t.TempDir(), "monitor"), Env: env,
		Command: []string{filepath.Join(dir, "monitor"), "--zookeeper", s.zk.Addr() + s.root, "--listen", w.addr, "--log-format", "json"},
	})
	must(s.t, err)
	s.t.Cleanup(func() {
		if err := w.program.Stop(); err != nil || w.program.ExitCode() != 0 {
			s.t.Errorf("the monitor: %v, exit code %d\n%s", err, w.program.ExitCode(), read(s.t, w.program.Log()))
		}
	})
	w.await("nothing, seeing all tasks", func(firing []string) bool {
		answer, err := http.Get("http://" + w.addr + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK && len(firing) == 0
	})
	return w
}

// firing gives the names of the alerts that fire, sorted; ok is false while the monitor does not answer.
func (w *watchman) firing() (names []string, ok bool) {
	answer, err := http.Get("http://" + w.addr + "/api/v1/alerts")
	if err != nil {
		return nil, false
	}
	defer answer.Body.Close()
	var list struct {
		Alerts []struct{ Labels map[string]string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		w.t.Fatal(err)
	}
	for _, a := range list.Alerts {
		names = append(names, a.Labels["alertname"])
	}
	slices.Sort(names)
	return names, true
}

// await waits until the alerts that fire are as wanted.
func (w *watchman) await(what string, wanted func(firing []string) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		firing, ok := w.firing()
		if ok && wanted(firing) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the monitor does not say %s within %s: %q (%t)", what, patience, firing, ok)
		}
	}
}

// wantFiring wants just these alerts to fire now.
func (w *watchman) wantFiring(names ...string) {
	w.t.Helper()
	if firing, ok := w.firing(); !ok || !slices.Equal(firing, names) {
		w.t.Errorf("there fire %q (%t), want %q", firing, ok, names)
	}
}

// The wall clocks of the primary, of a standby and of the monitor go a day ahead, and a day back, under load: nobody
// notices.
func TestWallClockSteps(t *testing.T) {
	t.Parallel()
	dir, err := steppable()
	must(t, err)
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.createTask()
	clocks := map[string]faults.Clock{}
	for _, id := range []string{"1", "2", "monitor"} {
		clocks[id] = faults.NewClock(filepath.Join(t.TempDir(), "clock"))
	}
	s.program, s.timeout = filepath.Join(dir, "worker"), lasting
	for _, id := range []string{"1", "2"} {
		s.workers[id] = s.spawn("worker-"+id, id, clocks[id].Env())
		s.await("worker "+id+" in the line", func(v view) bool { return len(v.Line) > 0 && v.Line[len(v.Line)-1].ServerID == id })
	}
	l := startLoad(t, s.src)
	before := s.awaitServing(0)
	monitor := s.startMonitor(clocks["monitor"].Env())
	pids := map[string]int{"1": s.workers["1"].Pid(), "2": s.workers["2"].Pid(), "monitor": monitor.program.Pid()}
	const day = 24 * time.Hour
	for _, step := range []struct {
		whose []string
		to    time.Duration
	}{
		{[]string{"1"}, day}, {[]string{"1"}, -day}, {[]string{"1"}, 0},
		{[]string{"2", "monitor"}, -day}, {[]string{"1", "2", "monitor"}, day}, {[]string{"1", "2", "monitor"}, 0},
	} {
		for _, who := range step.whose {
			must(t, clocks[who].Step(pids[who], step.to))
		}
		from := s.look().LastCommit.Commit
		l.await(100)
		s.await("more commits", func(v view) bool { return v.LastCommit.Commit > from+5 })
		<-time.After(1500 * time.Millisecond) // the monitor decides once a second
		monitor.wantFiring()
	}
	after := s.look()
	if after.LastCommit.Term != before.LastCommit.Term || after.Status.Reconnects != before.Status.Reconnects || after.Status.Changes != before.Status.Changes {
		t.Errorf("term %d, %d dumps, %d changes of state; before the steps %d, %d, %d", after.LastCommit.Term, after.Status.Reconnects,
			after.Status.Changes, before.LastCommit.Term, before.Status.Reconnects, before.Status.Changes)
	}
	l.stop()
	s.compare()
}
