// Package monitor watches every task and alerts.
//
// It observes what stands in ZooKeeper of each task, decides from that alone which alerts fire, and writes each alert
// to the log, once when it fires and once when it resolves. What a status says is not believed where the line shows
// otherwise. Without ZooKeeper it says that it is blind, and nothing about any task.
//
// It changes nothing, reads no archive, and knows nothing of workers but what they write to ZooKeeper.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

const (
	sweepInterval = 5 * time.Second  // between the ends of two looks at all tasks
	sweepTimeout  = 15 * time.Second // of one look at all tasks, and of opening a session
)

// A Monitor watches all tasks of one ensemble.
type Monitor struct {
	zookeeper coord.Config
	logger    zerolog.Logger
	sees      atomic.Bool // whether the last sweep went well

	// Of Run's goroutine alone:
	fleet fleet
	blind bool // as told
}

// New returns a monitor that is not running yet.
func New(zookeeper coord.Config, logger zerolog.Logger) *Monitor {
	return &Monitor{zookeeper: zookeeper, logger: logger, fleet: fleet{}}
}

// Run watches until ctx ends, and then returns nil. It tries for ever to reach ZooKeeper.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		err := m.watch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		m.sight(err)
		select {
		case <-time.After(sweepInterval):
		case <-ctx.Done():
		}
	}
}

// watch sweeps within one session until a sweep fails, the session is over or ctx ends.
func (m *Monitor) watch(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, sweepTimeout)
	session, err := coord.Open(opening, m.zookeeper)
	cancel()
	if err != nil {
		return err
	}
	defer session.Close()
	for {
		seen, err := observe(ctx, session)
		if err != nil {
			return err
		}
		m.sight(nil)
		var alerts []alert
		m.fleet, alerts = decideAll(m.fleet, seen, time.Now())
		for _, a := range alerts {
			m.report(a)
		}
		select {
		case <-time.After(sweepInterval):
		case <-session.Done():
			return session.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sight notes whether ZooKeeper can be read, nil, or why not, and tells when that changes.
func (m *Monitor) sight(trouble error) {
	m.sees.Store(trouble == nil)
	if m.blind == (trouble != nil) {
		return
	}
	m.blind = trouble != nil
	a := alert{name: blindAlert, severity: warning, resolved: trouble == nil, summary: "ZooKeeper can be read"}
	if trouble != nil {
		a.summary = trouble.Error()
	}
	m.report(a)
}

// observe looks at every task once.
func observe(ctx context.Context, session *coord.Session) (map[string]observation, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	ids, err := session.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]observation{}
	for _, id := range ids {
		view, err := session.Look(ctx, id)
		if errors.Is(err, coord.ErrNoTask) {
			continue
		}
		if err != nil {
			return nil, err
		}
		seen[id] = newObservation(view)
	}
	return seen, nil
}

// newObservation is the part of a task's view that alerts are about.
func newObservation(view coord.TaskView) observation {
	seen := observation{
		desired: view.Spec.Desired, instances: len(view.Line), state: view.Status.State,
		term: view.Status.Term, reason: view.Status.Reason, hint: view.Status.Hint,
	}
	for _, member := range view.Line {
		if member.Name == view.Status.Instance && view.Status.State != zkpaths.StateStopped {
			seen.primary = member.ServerID
		}
	}
	if err := errors.Join(view.SpecErr, view.StatusErr, view.LineErr); err != nil {
		seen.state, seen.reason, seen.hint = "", err.Error(), ""
	}
	return seen
}

// report writes an alert to the log.
func (m *Monitor) report(a alert) {
	event := m.logger.WithLevel(a.level()).Str("alertname", a.name).Str("severity", a.severity)
	if a.task != "" {
		event = event.Str("task", a.task).Int64("term", a.term).Str("server_id", a.serverID)
	}
	if a.from != "" || a.to != "" {
		event = event.Str("from", a.from).Str("to", a.to)
	}
	event.Str("status", a.status()).Str("summary", a.summary).Msg("alert")
}

// Handler serves the monitor's own health: /livez says that the process answers, /readyz whether it can read ZooKeeper.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !m.sees.Load() {
			http.Error(w, "ZooKeeper cannot be read", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}
