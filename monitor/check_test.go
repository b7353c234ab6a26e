package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/coord"
)

func TestCheck(t *testing.T) {
	now := time.Unix(10_000, 0)
	tests := []struct {
		see  string
		want []string
	}{
		{"line=1,2 state=starting>running by=1 durable=9990", nil},
		{"line=1,2 state=starting>running by=1 durable=9990 behind=5", nil},
		{"line=1 state=starting>running by=1 durable=9990", []string{noStandby}},
		{"line= durable=9990", []string{taskDown}},
		{"line= durable=9000", []string{taskDown, notDurable}},
		{"line=1,2 state=starting>running by=1", []string{notDurable}},
		{"line=1,2 state=starting>running by=1 durable=20000", nil},
		{"line=1,2 state=blocked by=1 durable=9990", []string{taskBlocked}},
		{"line=1,2 state=starting>running by=1 durable=9990 margin=2", []string{purgeRisk}},
		{"line=1,2 state=starting>running by=1 durable=9990 margin=3", nil},
		{"line= desired=paused", nil},
		{"line= desired=removed margin=0", nil},
		{"line=1,2 broken=", []string{taskBlocked}},
	}
	for _, test := range tests {
		p := &play{t: t, tasks: map[string]*coord.TaskView{}}
		var got []string
		for _, f := range Check(Observe(p.see("orders", strings.Fields(test.see))), now, time.Minute) {
			got = append(got, f.Alert)
			if f.Task != "orders" || f.Severity == "" || f.Summary == "" || f.Detail == "" {
				t.Errorf("%s: %+v", test.see, f)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.see, got, test.want)
		}
	}
}
