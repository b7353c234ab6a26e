package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/monitor"
	"binkeeper/zkpaths"
)

var checkedAt = time.Date(2026, 11, 20, 10, 43, 0, 0, time.UTC)

// checkedTasks are a healthy task, one without a standby, one that nobody serves and
// one that has vanished.
func checkedTasks() map[string]monitor.Observation {
	views := map[string]coord.TaskView{
		"well":  viewOf("1", zkpaths.StateRunning, "1", "2"),
		"alone": viewOf("1", zkpaths.StateRunning, "1"),
		"down":  viewOf("", zkpaths.StateRunning),
	}
	tasks := map[string]monitor.Observation{"lost": monitor.Vanished("lost")}
	for id, view := range views {
		view.ID, view.Status.DurableTime, view.Status.BehindBytes = id, zkpaths.At(checkedAt.Add(-2*time.Second)), 7
		tasks[id] = monitor.Observe(view)
	}
	return tasks
}

func TestCheck(t *testing.T) {
	away := errors.New("no | ZooKeeper\nat all")
	tests := []struct {
		name    string
		tasks   []string
		trouble error
		code    int // of Nagios
		line    string
		plain   int // exit code without Nagios
	}{
		{"no task", nil, nil, 0, "BINKEEPER OK - 0 tasks | tasks=0 critical=0 warning=0", 0},
		{"well", []string{"well"}, nil, 0, "BINKEEPER OK - 1 tasks | tasks=1 critical=0 warning=0 'well_durable_age'=2s 'well_behind'=7B 'well_instances'=2", 0},
		{"a warning", []string{"well", "alone"}, nil, 1, "BINKEEPER WARNING - alone has one worker only | tasks=2 critical=0 warning=1 'well_durable_age'=2s", 1},
		{"critical", []string{"alone", "down"}, nil, 2, "BINKEEPER CRITICAL - alone has one worker only; Nobody archives down | tasks=2 critical=1 warning=1 ", 1},
		{"vanished", []string{"lost"}, nil, 2, "BINKEEPER CRITICAL - lost has vanished from ZooKeeper, and nobody archives it | tasks=1 critical=1 warning=0 ", 1},
		{"unknown", nil, away, 3, "BINKEEPER UNKNOWN - no / ZooKeeper at all\n", 0},
	}
	for _, test := range tests {
		var seen []monitor.Observation
		for _, id := range test.tasks {
			seen = append(seen, checkedTasks()[id])
		}
		health := newCheckOutput(seen, checkedAt, time.Minute)
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		err := printNagios(cmd, health, test.trouble)
		if got := cli.ErrorCode(err); got != test.code || !strings.HasPrefix(out.String(), test.line) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: exit %d, %q; want %d, %q", test.name, got, out.String(), test.code, test.line)
		}
		if got := cli.ErrorCode(health.verdict()); got != test.plain {
			t.Errorf("%s: exit %d without --nagios, want %d", test.name, got, test.plain)
		}
	}
}

func TestCheckTable(t *testing.T) {
	tasks := checkedTasks()
	health := newCheckOutput([]monitor.Observation{tasks["down"], tasks["well"]}, checkedAt, time.Minute)
	var out bytes.Buffer
	if err := writeTable(&out, health.rows()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"down  critical  BinkeeperTaskDown  No worker stands in the line of task down", "well  ok        -"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%swant %q", out.String(), want)
		}
	}
}
