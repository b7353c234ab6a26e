//go:build integration

package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// Tasks come and go; a payload that cannot be read is told; what happens between two
// looks is not lost.
func TestTasksComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared)
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks, cfg.Limits.DurableMaxAge = []string{h.server.URL}, time.Hour
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	w.task("orders")
	awaitTasks(t, m, 1)
	for term := int64(2); term < 12; term++ {
		w.say("orders", func(s *zkpaths.Status) {
			*s = s.Say(zkpaths.StateStarting, placeOf("1"), term, time.Now(), "", "", "")
			*s = s.Say(zkpaths.StateRunning, placeOf("1"), term, time.Now(), "", "", "")
		})
	}
	if _, err := w.conn.Set(w.root+zkpaths.State("orders"), []byte(`{"format":2}`), -1); err != nil {
		t.Fatal(err)
	}
	h.await(patience, "orders "+taskBlocked+" firing", 1)
	w.say("orders", func(*zkpaths.Status) {})
	h.await(patience, "orders "+taskBlocked+" resolved", 1)
	w.leave("orders", "1")
	w.leave("orders", "2")
	h.await(patience, "orders "+taskDown+" firing", 1)
	w.remove("orders")
	h.await(patience, "orders "+taskDown+" resolved", 1)
	awaitTasks(t, m, 0)
	stop()
	changes := slices.DeleteFunc(h.changes("orders"), func(c string) bool { return !strings.HasPrefix(c, statusChanged) })
	if n := len(changes); n < 20 {
		t.Errorf("%d changes of state told, want those of ten terms: %q", n, changes)
	}
}

func awaitTasks(t *testing.T, m *Monitor, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(m.rows()) != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it sees %d tasks, want %d", len(m.rows()), n)
		}
	}
}
