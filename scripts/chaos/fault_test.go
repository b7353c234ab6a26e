package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// A disk has met something once a worker's log says so, of this store and of this cause, during the strike.
func TestDiskHasToBeMet(t *testing.T) {
	dir := t.TempDir()
	const full = `{"err":"store file://DIR/disk/archive: create x: no space left on device"}`
	tests := []struct {
		name, before, during string
		want                 bool
	}{
		{"met", "", full, true},
		{"nobody there", "", "", false},
		{"before", full, "", false},
		{"another store", "", `{"err":"store file:///elsewhere: create x: no space left on device"}`, false},
		{"another cause", "", `{"err":"store file://DIR/disk/archive: create x: read-only file system"}`, false},
		{"in two lines", "", `{"err":"store file://DIR/disk/archive"}` + "\n" + `{"err":"no space left on device"}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			program, err := servers.StartProgram(t.Context(), servers.ProgramOptions{Name: "worker 1", Dir: t.TempDir(), Command: []string{"true"}})
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			r := &rig{dir: dir, disk: &faults.FullDisk{}, workers: []*worker{{id: "1", Program: program}}}
			undone := false
			do := func(context.Context, *rig) error { return appendTo(program.Log(), dir, test.during) }
			undo := func(context.Context, *rig) error { undone = true; return nil }
			f, err := ofDisk(do, undo, syscall.ENOSPC)(r, t.Context(), strike{})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(appendTo(program.Log(), dir, test.before), f.strike(t.Context())); err != nil {
				t.Fatal(err)
			}
			err = f.heal(t.Context())
			var none *missedError
			if got := !errors.As(err, &none); got != test.want || !undone || got && err != nil {
				t.Errorf("heal = %v, undone %t, want met %t", err, undone, test.want)
			}
		})
	}
}

// appendTo writes a line of a log, in which DIR stands for dir.
func appendTo(log, dir, line string) error {
	file, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(strings.ReplaceAll(line, "DIR", dir) + "\n")
	return err
}

func TestPausedSince(t *testing.T) {
	then := time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.UTC)
	turn := func(at time.Time, to string) zkpaths.Transition {
		return zkpaths.Transition{At: zkpaths.At(at), To: to}
	}
	tests := []struct {
		name        string
		transitions []zkpaths.Transition
		want        bool
	}{
		{"never", nil, false},
		{"at once", []zkpaths.Transition{turn(then, zkpaths.StatePaused)}, true},
		{"and has gone on", []zkpaths.Transition{turn(then.Add(second), zkpaths.StatePaused), turn(then.Add(2*second), zkpaths.StateRunning)}, true},
		{"before", []zkpaths.Transition{turn(then.Add(-second), zkpaths.StatePaused), turn(then.Add(second), zkpaths.StateRunning)}, false},
	}
	for _, test := range tests {
		if got := pausedSince(zkpaths.Status{Transitions: test.transitions}, then); got != test.want {
			t.Errorf("%s: paused %t, want %t", test.name, got, test.want)
		}
	}
}

// A server that is not there when it is to be struck has ended by itself, whatever was to strike it.
func TestServersThatHaveEnded(t *testing.T) {
	r := &rig{sources: []*source{{name: "mysql", Source: &servers.Source{}}}}
	gone := []*servers.ZooKeeperServer{{}, {}}
	source, err := planners["server-restart"](r, t.Context(), strike{target: "mysql"})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]fault{"zookeeper-kill": r.killZooKeeper(gone), "zookeeper-stop": r.stopZooKeeper(gone), "server-restart": source} {
		var ended *endedError
		if err := f.strike(t.Context()); !errors.As(err, &ended) {
			t.Errorf("%s: %v, want that a server has ended by itself", name, err)
		}
	}
}

// A reset links the files that there are, so that nothing else may begin one then.
func TestRotateHoldsTheSource(t *testing.T) {
	r := &rig{sources: []*source{{name: "mysql"}}}
	for _, kind := range []string{"rotate", "reset", "server-kill", "server-restart"} {
		f, err := planners[kind](r, t.Context(), strike{target: "mysql"})
		if want := []string{"mysql"}; err != nil || !slices.Equal(f.holds, want) {
			t.Errorf("%s holds %q (%v), want %q", kind, f.holds, err, want)
		}
	}
}
