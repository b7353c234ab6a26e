package monitor

import (
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// TestDurableTimeToCome reads the status of a worker that was told of 2060 by an event.
func TestDurableTimeToCome(t *testing.T) {
	said := time.Date(2026, 11, 20, 10, 43, 2, 0, time.UTC)
	toCome := time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name                   string
		durable, updated, want time.Time
	}{
		{"as it should be", said.Add(-time.Second), said, said.Add(-time.Second)},
		{"of 2060", toCome, said, said},
		{"nothing durable yet", time.Time{}, said, time.Time{}},
		{"a status without a time", said, time.Time{}, said},
	} {
		view := coord.TaskView{ID: "orders", Spec: zkpaths.Spec{Desired: zkpaths.Running},
			Status: zkpaths.Status{DurableTime: zkpaths.At(test.durable), UpdatedAt: zkpaths.At(test.updated)}}
		if got := Observe(view).DurableTime; !got.Equal(test.want) {
			t.Errorf("%s: durable to %s, want %s", test.name, got, test.want)
		}
	}
	old := Observe(coord.TaskView{ID: "orders", Spec: zkpaths.Spec{Desired: zkpaths.Running},
		Status: zkpaths.Status{DurableTime: zkpaths.At(toCome), UpdatedAt: zkpaths.At(said)}})
	if got := DurableAge(old, said.Add(time.Hour)); got != time.Hour {
		t.Errorf("an hour after the last word: %s behind", got)
	}
}
