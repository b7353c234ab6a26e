package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestServed(t *testing.T) {
	s := served{known: map[string]bool{}, vanished: map[string]bool{}}
	tests := []struct {
		name, there, removed string
		want                 string // lost, back, changed, and all that has vanished
	}{
		{"new tasks", "orders users", "", "[] [] false []"},
		{"one is removed", "orders", "users", "[] [] false []"},
		{"one is lost", "", "", "[orders] [] true [orders]"},
		{"nothing new", "", "users", "[] [] false [orders]"},
		{"it is back", "orders", "", "[] [orders] true []"},
		{"lost again", "", "", "[orders] [] true [orders]"},
		{"and removed", "", "orders", "[] [] true []"},
		{"long ago", "", "", "[] [] false []"},
	}
	for _, test := range tests {
		there := map[string]bool{}
		for _, id := range strings.Fields(test.there) {
			there[id] = true
		}
		removed := strings.Fields(test.removed)
		lost, back, changed := s.look(there, func(id string) bool { return slices.Contains(removed, id) })
		if got := fmt.Sprint(lost, back, changed, s.names()); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A task that has vanished is still to be seen, with nobody in its line.
func TestMetricsOfAVanishedTask(t *testing.T) {
	w := newMeteredWorker(t, "orders", "users")
	w.meters.of("orders").become(roleStandby)
	w.meters.keep(map[string]bool{"users": true}, map[string]bool{"orders": true})
	w.meters.of("orders").become("")
	series := scrape(t, w)
	for name, want := range map[string]float64{
		`binkeeper_task_vanished{task="orders"}`: 1, `binkeeper_task_vanished{task="users"}`: 0,
		`binkeeper_task_role{role="standby",task="orders"}`: 0,
	} {
		if got, ok := series[name]; !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", name, got, ok, want)
		}
	}
	if details := strings.Join(w.details(), "; "); details != "task orders: vanished; task users: not in the line" {
		t.Errorf("details: %s", details)
	}
	w.meters.keep(map[string]bool{"users": true}, nil)
	if _, ok := scrape(t, w)[`binkeeper_task_vanished{task="orders"}`]; ok {
		t.Error("the series of a removed task stay")
	}
}
