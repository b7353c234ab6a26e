//go:build faults

//faults:monitor

package monitor

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// wipe deletes a task's znodes by hand.
func (w *world) wipe(id string) {
	w.t.Helper()
	for _, path := range []string{zkpaths.Member(id, placeOf("1").Name), zkpaths.Member(id, placeOf("2").Name), zkpaths.Line(id), zkpaths.Checkpoint(id), zkpaths.State(id), zkpaths.Task(id)} {
		if err := w.conn.Delete(w.root+path, -1); err != nil {
			w.t.Fatalf("delete %s: %v", path, err)
		}
	}
}

// A task whose znodes are gone fires, also with a monitor that was restarted over the
// loss, until its removal is on record. One that was removed, too fast for anybody to
// see it coming or while no monitor ran, says nothing.
func TestTaskVanishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared)
	for _, id := range []string{"lost", "back", "removed", "asleep"} {
		w.task(id)
	}
	h := newHook(t)
	cfg := w.config()
	cfg.Webhooks, cfg.StateFile = []string{h.server.URL}, filepath.Join(t.TempDir(), "state.json")
	cfg.Limits = Limits{DurableMaxAge: time.Hour, StallAfter: time.Hour}
	session, err := coord.Open(t.Context(), cfg.ZooKeeper)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	remove := func(id string) {
		t.Helper()
		w.leave(id, "1")
		w.leave(id, "2")
		w.remove(id)
	}
	m, stop := w.watch(cfg)
	awaitReady(t, m)
	remove("removed")
	w.wipe("back")
	h.await(15*time.Second, "back BinkeeperTaskDown firing", 1)
	stop()
	w.wipe("lost")
	remove("asleep")
	m, stop = w.watch(cfg)
	awaitReady(t, m)
	h.await(15*time.Second, "lost BinkeeperTaskDown firing", 1)
	rows := m.rows()
	if len(rows) != 2 || rows[0].ID != "back" || rows[0].Reason != zkpaths.ReasonVanished || !strings.Contains(rows[1].Hint, "task create lost") {
		t.Errorf("tasks %+v", rows)
	}
	for _, a := range m.firing() {
		if !strings.Contains(a.Annotations["summary"], "vanished") {
			t.Errorf("%s: %v", a.Task(), a.Annotations)
		}
	}
	if err := session.RemoveVanished(t.Context(), "lost"); err != nil {
		t.Fatal(err)
	}
	h.await(2*time.Second, "lost BinkeeperTaskDown resolved", 1)
	w.task("back")
	h.await(5*time.Second, "back BinkeeperTaskDown resolved", 1)
	stop()
	equal(t, "said", h.said(), []string{
		"back BinkeeperTaskDown firing", "lost BinkeeperTaskDown firing", "lost BinkeeperTaskDown resolved", "back BinkeeperTaskDown resolved",
	})
}
