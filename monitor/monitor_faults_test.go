//go:build faults

//faults:monitor

package monitor

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// A trial is an alert, what causes it and what cures it, of a task of its name.
type trial struct {
	name        string
	within      time.Duration // it is to fire, and once again
	cause, cure func(id string)
}

func (w *world) trials() []trial {
	return []trial{
		{taskDown, 15 * time.Second,
			func(id string) { w.leave(id, "1"); w.leave(id, "2") },
			func(id string) { w.join(id, "1"); w.join(id, "2") }},
		{taskBlocked, 2 * time.Second,
			func(id string) {
				w.say(id, func(s *zkpaths.Status) {
					*s = s.Say(zkpaths.StateBlocked, placeOf("1"), 1, time.Now(), zkpaths.BlockedPurged, "", "")
				})
			},
			func(id string) {
				w.say(id, func(s *zkpaths.Status) {
					*s = s.Say(zkpaths.StateRunning, placeOf("1"), 1, time.Now(), "", "", "")
				})
			}},
		{stalled, 12 * time.Second,
			// The durable time is not kept alive here, so NotDurable comes with it.
			func(id string) { w.say(id, func(s *zkpaths.Status) { s.BehindBytes = 100 }) },
			func(id string) {
				w.say(id, func(s *zkpaths.Status) { s.BehindBytes, s.Position, s.DurableTime = 0, 100, zkpaths.At(time.Now()) })
				w.live(id)
			}},
		{noStandby, 75 * time.Second,
			func(id string) { w.leave(id, "2") },
			func(id string) { w.join(id, "2") }},
		{purgeRisk, 40 * time.Second,
			func(id string) {
				w.say(id, func(s *zkpaths.Status) { s.PurgeMargin = zkpaths.Margin{Files: 2, Known: true} })
			},
			func(id string) { w.say(id, func(s *zkpaths.Status) { s.PurgeMargin = zkpaths.Margin{} }) }},
		{flapping, 5 * time.Second,
			func(id string) {
				w.say(id, func(s *zkpaths.Status) {
					for term := int64(2); term <= 7; term++ {
						*s = s.Say(zkpaths.StateStarting, placeOf("1"), term, time.Now(), "", "", "")
						*s = s.Say(zkpaths.StateRunning, placeOf("1"), term, time.Now(), "", "", "")
					}
				})
			},
			func(id string) { w.desire(id, zkpaths.Removed) }},
	}
}

// Each alert: its cause, that it fires, is repeated, and resolves, as a receiver
// gets it; and nothing else is said.
func TestEveryAlertAsAReceiverGetsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared)
	tests := w.trials()
	var alive []string
	for _, test := range tests {
		w.task(test.name)
		if test.name != stalled {
			alive = append(alive, test.name)
		}
	}
	w.live(alive...)
	w.say(stalled, func(s *zkpaths.Status) { s.DurableTime = zkpaths.At(time.Now()) })
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks, cfg.RepeatInterval = []string{h.server.URL}, 3*time.Second
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	for _, test := range tests {
		test.cause(test.name)
	}
	for _, test := range tests {
		h.await(test.within, test.name+" "+test.name+" firing", 2)
	}
	for _, test := range tests {
		test.cure(test.name)
	}
	for _, test := range tests {
		h.await(15*time.Second, test.name+" "+test.name+" resolved", 1)
	}
	h.await(15*time.Second, stalled+" "+notDurable+" resolved", 1)
	stop()
	said := h.said()
	for _, test := range tests {
		checkOrder(t, said, test.name, test.name)
	}
	checkOrder(t, said, stalled, notDurable)
	for _, line := range said {
		if words := strings.Fields(line); words[0] != words[1] && line[:len(stalled)] != stalled {
			t.Errorf("said besides: %s", line)
		}
	}
	equal(t, "changes of the blocked task", h.changes(taskBlocked), []string{statusChanged + " running>blocked", statusChanged + " blocked>running"})
}

// checkOrder wants an alert to fire, to be repeated, and to resolve once, at last.
func checkOrder(t *testing.T, said []string, task, name string) {
	t.Helper()
	var states []string
	for _, line := range said {
		if state, ok := strings.CutPrefix(line, task+" "+name+" "); ok {
			states = append(states, state)
		}
	}
	n := len(states)
	if n < 2 || states[n-1] != statusResolved || slices.Contains(states[:n-1], statusResolved) {
		t.Errorf("%s of %s: %q", name, task, states)
	}
}

// ZooKeeper dies and comes back: blind once, and no word about any task.
func TestBlindWithoutZooKeeper(t *testing.T) {
	t.Parallel()
	zooKeeper := servertest.StartZooKeeper(t, 1)
	w := newWorld(t, zooKeeper.Addr())
	w.task("orders")
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks, cfg.Limits.DurableMaxAge = []string{h.server.URL}, time.Minute
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	zooKeeper.Servers()[0].Kill()
	h.await(30*time.Second, blind+" firing", 1)
	if err := m.Ready(); err == nil {
		t.Error("ready without ZooKeeper")
	}
	if err := zooKeeper.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.await(30*time.Second, blind+" resolved", 1)
	awaitReady(t, m)
	stop()
	equal(t, "said", h.said(), []string{blind + " firing", blind + " resolved"})
}

// A new process does not repeat what was said, and resolves it.
func TestRestartWithTheStateFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared)
	w.task("orders")
	w.leave("orders", "1")
	w.leave("orders", "2")
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks, cfg.StateFile, cfg.Limits.DurableMaxAge = []string{h.server.URL}, filepath.Join(t.TempDir(), "state.json"), time.Hour
	_, stop := w.watch(cfg)
	h.await(20*time.Second, "orders "+taskDown+" firing", 1)
	stop()
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	stop()
	w.join("orders", "1")
	w.join("orders", "2")
	m, stop = w.watch(cfg)
	awaitReady(t, m)
	stop()
	m, stop = w.watch(cfg)
	awaitReady(t, m)
	stop()
	equal(t, "said", h.said(), []string{"orders " + taskDown + " firing", "orders " + taskDown + " resolved"})
}

// A webhook that hangs delays no other channel, and no look.
func TestAChannelThatHangsDelaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared)
	w.task("orders")
	w.live("orders")
	let := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-let }))
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks = []string{hanging.URL, h.server.URL}
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	for i := range 5 {
		state := []string{zkpaths.StateBlocked, zkpaths.StateRunning}[i%2]
		w.say("orders", func(s *zkpaths.Status) { *s = s.Say(state, placeOf("1"), 1, time.Now(), "", "", "") })
		status := []string{statusFiring, statusResolved}[i%2]
		h.await(2*time.Second, "orders "+taskBlocked+" "+status, 1+i/2)
	}
	if n := m.channels[1].length(); n != 10 {
		t.Errorf("%d wait for the one that hangs, want 10", n)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > flushTimeout+3*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	close(let)
	hanging.Close()
}
