package zkpaths

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRemovals(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var r Removals
	r.Add("orders", now)
	r.Add("users", now)
	r.Add("orders", now.Add(time.Second))
	if len(r.Tasks) != 2 || r.Tasks[1] != (Removal{"orders", At(now.Add(time.Second))}) || !r.Has("users") || r.Has("order") {
		t.Errorf("%+v", r)
	}
	before := r
	r.Drop("users")
	if r.Has("users") || !r.Has("orders") || !before.Has("users") {
		t.Errorf("%+v, it was %+v", r, before)
	}
	for i := range 1000 {
		r.Add(fmt.Sprintf("%s%04d", strings.Repeat("x", 60), i), now)
	}
	if len(r.Tasks) != maxRemovals || r.Has("orders") || !r.Has(strings.Repeat("x", 60)+"0999") {
		t.Errorf("%d removals, orders: %v", len(r.Tasks), r.Has("orders"))
	}
	data, err := Encode(RemovedTasks, &r)
	if err != nil || len(data) > MaxPayload {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	var read Removals
	if err := Decode(RemovedTasks, data, &read); err != nil || len(read.Tasks) != maxRemovals {
		t.Errorf("read back: %d, %v", len(read.Tasks), err)
	}
}
