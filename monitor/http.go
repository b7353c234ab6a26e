package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"binkeeper/internal/api"
	"binkeeper/zkpaths"
)

// deadAfter is how long the monitor's loop may be silent: it turns every second.
const deadAfter = 30 * time.Second

// jsonFormat is the key "format" of all JSON that is served.
const jsonFormat = 1

// A TaskList is what /api/v1/tasks serves.
type TaskList struct {
	Format int   `json:"format"`
	Tasks  []Row `json:"tasks"`
}

// An AlertList is what /api/v1/alerts serves: what fires.
type AlertList struct {
	Format int      `json:"format"`
	Alerts []*Alert `json:"alerts"`
}

// A TestResult is what /api/v1/alerts/test answers: what each channel made of one
// firing and one resolved alert.
type TestResult struct {
	Format   int           `json:"format"`
	Channels []ChannelTest `json:"channels"`
}

// A ChannelTest is how a channel has taken a test.
type ChannelTest struct {
	Channel string `json:"channel"`
	OK      bool   `json:"ok"`
	Error   string `json:"error"` // "" when it is ok; holds no secret
}

// Handler serves the monitor's health, metrics, tasks and alerts:
//
//	/livez               the process watches, whatever it sees
//	/readyz              whether it sees all tasks: 200, or 503 and why not; with
//	                     ?verbose each check
//	/metrics             for Prometheus, as docs/metrics.md lists them
//	/version             which program this is
//	/api/v1/tasks        the tasks, as the monitor saw them last
//	/api/v1/alerts       what fires
//	/api/v1/alerts/test  POST: sends one firing and one resolved alert of the name
//	                     BinkeeperTest through every channel
//
// Nothing that it serves holds a secret.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", m.livez)
	mux.HandleFunc("GET /readyz", api.Readyz(m.Ready, m.details))
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.meters.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version", func(rw http.ResponseWriter, _ *http.Request) {
		api.WriteJSON(rw, map[string]string{"version": m.cfg.Version})
	})
	mux.HandleFunc("GET /api/v1/tasks", func(rw http.ResponseWriter, _ *http.Request) { api.WriteJSON(rw, TaskList{jsonFormat, m.rows()}) })
	mux.HandleFunc("GET /api/v1/alerts", func(rw http.ResponseWriter, _ *http.Request) { api.WriteJSON(rw, AlertList{jsonFormat, m.firing()}) })
	mux.HandleFunc("POST /api/v1/alerts/test", func(rw http.ResponseWriter, r *http.Request) { api.WriteJSON(rw, m.test(r.Context())) })
	return mux
}

func (m *Monitor) livez(rw http.ResponseWriter, _ *http.Request) {
	if silent := time.Since(time.Unix(0, m.ticked.Load())); silent > deadAfter {
		http.Error(rw, fmt.Sprintf("the loop has not turned for %s", silent.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	rw.Write([]byte("ok\n"))
}

// details says how many alerts wait for each channel.
func (m *Monitor) details() []string {
	var lines []string
	for _, c := range m.channels {
		lines = append(lines, fmt.Sprintf("channel %s: %d waiting", c.name, c.length()))
	}
	return lines
}

// errLooking says that the first look at all tasks is under way.
var errLooking = errors.New("not all tasks have been seen yet")

// Ready returns nil while the monitor sees all tasks, else why it does not.
func (m *Monitor) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.connectivity.clear():
		return nil
	case m.connectivity.trouble != nil:
		return fmt.Errorf("ZooKeeper cannot be read: %w", m.connectivity.trouble)
	}
	return errLooking
}

// rows gives all tasks, by their ids.
func (m *Monitor) rows() []Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := []Row{}
	for _, id := range slices.Sorted(maps.Keys(m.fleet)) {
		rows = append(rows, m.fleet[id].last.Row)
	}
	return rows
}

// firing gives what fires, by task and name.
func (m *Monitor) firing() []*Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	alerts := []*Alert{}
	for _, e := range m.ledger.entries() {
		alerts = append(alerts, e.Alert)
	}
	return alerts
}

// read is what a scrape shows.
func (m *Monitor) read() reading {
	r := reading{states: map[string]int{}, instances: map[string]int{}, vanished: map[string]bool{}, firing: map[[2]string]int{}, queues: map[string]int{}}
	for _, c := range m.channels {
		r.queues[c.name] = c.length()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.connected = m.connectivity.clear()
	if !m.connectivity.swept.IsZero() {
		r.scanned = float64(m.connectivity.swept.UnixNano()) / float64(time.Second)
	}
	for id, task := range m.fleet {
		state := task.last.State
		if task.last.Vanished {
			state = zkpaths.ReasonVanished
			r.vanished[id] = true
		}
		if !slices.Contains(states, state) {
			state = stateUnknown
		}
		r.states[state]++
		r.instances[id] = task.last.Instances
	}
	for _, e := range m.ledger {
		r.firing[[2]string{e.Alert.Name(), e.Alert.Severity()}]++
	}
	return r
}

// test sends one firing and one resolved alert through every channel at once, past
// its queue. Tests run one at a time.
func (m *Monitor) test(ctx context.Context) TestResult {
	m.testing.Lock()
	defer m.testing.Unlock()
	now := time.Now()
	firing := newAlert(testAlert, Info, "", now)
	firing.Annotations["summary"] = "A test of the alert channels"
	firing.Annotations["description"] = "Somebody has run `binkeeper alert test`. Nothing is wrong."
	results := make([]ChannelTest, len(m.channels))
	var sends sync.WaitGroup
	for i, c := range m.channels {
		sends.Go(func() {
			err := c.attempt(ctx, firing)
			if err == nil {
				err = c.attempt(ctx, firing.resolved(time.Now()))
			}
			results[i] = ChannelTest{Channel: c.name, OK: err == nil}
			if err != nil {
				results[i].Error = err.Error()
			}
		})
	}
	sends.Wait()
	return TestResult{jsonFormat, results}
}
