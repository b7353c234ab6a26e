package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// viewOf is a task with a line of the given servers, of which the status names
// the one called primary.
func viewOf(primary, state string, servers ...string) coord.TaskView {
	view := coord.TaskView{Spec: zkpaths.Spec{Desired: zkpaths.Running}, Status: zkpaths.Status{State: state}}
	for i, server := range servers {
		name := fmt.Sprintf("server_%s_%010d", server, i+1)
		if server == primary {
			view.Status.Instance = name
		}
		view.Line = append(view.Line, coord.Member{Place: zkpaths.Place{Name: name, ServerID: server, Seq: int32(i + 1)}})
	}
	return view
}

func TestTaskRow(t *testing.T) {
	unreadable := &zkpaths.UnreadableError{Path: "/tasks/x/lastCommit", Problem: "it is empty"}
	tests := []struct {
		name                          string
		edit                          func(*coord.TaskView)
		state, primary, reason, hints string
		standbys                      []string
	}{
		{name: "served", edit: func(*coord.TaskView) {}, state: "running", primary: "1", standbys: []string{"2", "3"}},
		{name: "claimed by the next", edit: func(v *coord.TaskView) { v.Line = v.Line[1:] }, state: "running", standbys: []string{"2", "3"}},
		{name: "nobody", edit: func(v *coord.TaskView) { v.Line = nil }, state: "running", standbys: []string{}},
		{name: "stopped", edit: func(v *coord.TaskView) { v.Status.State = zkpaths.StateStopped }, state: "stopped", standbys: []string{"1", "2", "3"}},
		{name: "blocked", edit: func(v *coord.TaskView) {
			v.Status.State, v.Status.Reason, v.Status.Hint = zkpaths.StateBlocked, "purged", "do this"
		}, state: "blocked", primary: "1", standbys: []string{"2", "3"}, reason: "purged", hints: "do this"},
		{name: "unreadable checkpoint", edit: func(v *coord.TaskView) { v.LastCommitErr = unreadable },
			state: "", primary: "1", standbys: []string{"2", "3"}, reason: "/tasks/x/lastCommit is unreadable: it is empty", hints: "write the last good JSON back to /tasks/x/lastCommit"},
		{name: "newer status", edit: func(v *coord.TaskView) { v.StatusErr = &zkpaths.NewerFormatError{Path: "/tasks/x/status", Format: 2} },
			state: "", standbys: []string{"1", "2", "3"}, reason: "/tasks/x/status has format 2, this version reads up to 1", hints: "upgrade this program"},
	}
	for _, tt := range tests {
		view := viewOf("1", zkpaths.StateRunning, "1", "2", "3")
		tt.edit(&view)
		got := newTaskRow("x", view)
		if got.State != tt.state || got.Primary != tt.primary || got.Reason != tt.reason || got.Hint != tt.hints || !reflect.DeepEqual(got.Standbys, tt.standbys) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt)
		}
	}
}

func TestSuccessor(t *testing.T) {
	tests := []struct {
		name    string
		servers []string
		desired string
		to      string
		want    string
		already bool
		code    int
	}{
		{name: "next in line", servers: []string{"1", "2", "3"}, want: "2"},
		{name: "a given one", servers: []string{"1", "2", "3"}, to: "3", want: "3"},
		{name: "already", servers: []string{"1", "2"}, to: "1", want: "1", already: true},
		{name: "already, alone", servers: []string{"1"}, to: "1", want: "1", already: true},
		{name: "no standby", servers: []string{"1"}, code: cli.Conflict},
		{name: "nobody", code: cli.Conflict},
		{name: "unknown server", servers: []string{"1", "2"}, to: "9", code: cli.NotFound},
		{name: "being removed", servers: []string{"1", "2"}, desired: zkpaths.Removed, code: cli.Conflict},
	}
	for _, tt := range tests {
		view := viewOf("1", zkpaths.StateRunning, tt.servers...)
		if tt.desired != "" {
			view.Spec.Desired = tt.desired
		}
		got, already, err := successor("x", view, tt.to)
		if cli.ErrorCode(err) != tt.code || got.ServerID != tt.want || already != tt.already {
			t.Errorf("%s: got %q, %v, %v; want %q, %v, code %d", tt.name, got.ServerID, already, err, tt.want, tt.already, tt.code)
		}
	}
}

func TestSwitched(t *testing.T) {
	tests := []struct {
		name  string
		view  coord.TaskView
		want  bool
		fails bool
	}{
		{"serves", viewOf("2", zkpaths.StateRunning, "1", "2"), true, false},
		{"serves a paused task", viewOf("2", zkpaths.StatePaused, "1", "2"), true, false},
		{"not yet", viewOf("1", zkpaths.StateRunning, "1", "2"), false, false},
		{"between the two", viewOf("", zkpaths.StateStopped, "1", "2"), false, false},
		{"gone", viewOf("1", zkpaths.StateRunning, "1"), false, true},
	}
	target := zkpaths.Place{Name: "server_2_0000000002", ServerID: "2"}
	for _, tt := range tests {
		got, err := switched("x", tt.view, target)
		if got != tt.want || (cli.ErrorCode(err) == cli.Conflict) != tt.fails {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.fails)
		}
	}
}

func TestAcceptance(t *testing.T) {
	flag := func(name string) int {
		for i, a := range answers {
			if a.flag == name {
				return i
			}
		}
		t.Fatalf("no flag %s", name)
		return 0
	}
	tests := []struct {
		flag, state, reason string
		want                string // the answer, "" for a conflict
	}{
		{"accept-gap", "blocked", "purged", "gap"},
		{"accept-gap", "blocked", "torn", "gap"},
		{"accept-gap", "blocked", "source-corrupt", "gap"},
		{"accept-gap", "blocked", "gtid-mode", ""},
		{"accept-new-timeline", "blocked", "diverged", "new-timeline"},
		{"accept-new-timeline", "blocked", "closed", "new-timeline"},
		{"accept-new-timeline", "blocked", "other-source", "new-timeline"},
		{"accept-archive", "blocked", "archive-behind", "archive"},
		{"accept-gap", "blocked", "diverged", ""},
		{"accept-new-timeline", "blocked", "purged", ""},
		{"accept-archive", "blocked", "no-position", ""},
		{"accept-gap", "running", "", ""},
		{"accept-gap", "stopped", "purged", ""},
	}
	last := zkpaths.LastCommit{Timeline: 2, File: "mysql-bin.000007", Position: 4711}
	for _, tt := range tests {
		view := coord.TaskView{LastCommit: last, Status: zkpaths.Status{State: tt.state, Reason: tt.reason, SeenServer: "uuid-a"}}
		got, err := acceptance("x", flag(tt.flag), view, time.Now())
		if tt.want == "" {
			if cli.ErrorCode(err) != cli.Conflict || cli.Hint(err) == "" {
				t.Errorf("%+v: got %v, %v; want a conflict with a hint", tt, got, err)
			}
			continue
		}
		if err != nil || !got.Answers(tt.want, tt.reason, "uuid-a", last) {
			t.Errorf("%+v: got %+v, %v", tt, got, err)
		}
		later := zkpaths.LastCommit{Timeline: 2, File: "mysql-bin.000007", Position: 4712}
		if got.Answers(tt.want, tt.reason, "uuid-a", later) || got.Answers(tt.want, "another", "uuid-a", last) || got.Answers(tt.want, tt.reason, "uuid-b", last) {
			t.Errorf("%+v: it answers a later block too, or for another reason or server", tt)
		}
	}
}

func TestCreateSpec(t *testing.T) {
	tests := []struct {
		name string
		edit func(*createFlags)
		want string // substring of the usage error
	}{
		{"fine", func(*createFlags) {}, ""},
		{"start at a file", func(f *createFlags) { f.start = "mysql-bin.000042" }, ""},
		{"start now", func(f *createFlags) { f.start = "current" }, ""},
		{"start within a file", func(f *createFlags) { f.start = "mysql-bin.000042:4" }, "start"},
		{"start elsewhere", func(f *createFlags) { f.start = "../mysql-bin.000042" }, "start"},
		{"a password in the URL", func(f *createFlags) { f.source = "mysql://u:hunter2@h" }, "password"},
		{"no MySQL", func(f *createFlags) { f.source = "postgres://hunter2@h" }, "source URL"},
		{"a password for a reference", func(f *createFlags) { f.passwordRef = "hunter2" }, "password reference"},
		{"a relative store", func(f *createFlags) { f.archive = "hunter2" }, "archive URL"},
		{"tiny segments", func(f *createFlags) { f.segmentSize = 1 }, "segment_size"},
		{"no flush", func(f *createFlags) { f.flush = 0 }, "flush_interval"},
		{"rare checkpoints", func(f *createFlags) { f.checkpoint = 48 * time.Hour }, "checkpoint_interval"},
	}
	for _, tt := range tests {
		f := createFlags{source: "mysql://u@h", passwordRef: "env:X", archive: "/backup", start: zkpaths.StartEarliest, segmentSize: 8 << 20, flush: time.Second, checkpoint: time.Second}
		tt.edit(&f)
		spec, err := f.spec(time.Now())
		if tt.want == "" {
			if err != nil || spec.Desired != zkpaths.Running || spec.ReplicaServerID == 0 || spec.TaskUID == spec.ReplicaUUID {
				t.Errorf("%s: got %+v, %v", tt.name, spec, err)
			}
			continue
		}
		if cli.ErrorCode(err) != cli.BadUsage || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a usage error with %q", tt.name, err, tt.want)
		} else if strings.Contains(err.Error()+cli.Hint(err), "hunter2") {
			t.Errorf("%s: the error shows a password: %v", tt.name, err)
		}
	}
}

func TestFits(t *testing.T) {
	mysql := archive.Timeline{Flavor: gtid.MySQL, ServerUUID: "a", SourceServerID: 1}
	maria := archive.Timeline{Flavor: gtid.MariaDB, SourceServerID: 7, ServerUID: "u"}
	tests := []struct {
		name     string
		timeline archive.Timeline
		server   source.Server
		want     bool
	}{
		{"the same MySQL", mysql, source.Server{Flavor: gtid.MySQL, UUID: "a", ServerID: 1}, true},
		{"with another number", mysql, source.Server{Flavor: gtid.MySQL, UUID: "a", ServerID: 2}, true},
		{"another MySQL", mysql, source.Server{Flavor: gtid.MySQL, UUID: "b", ServerID: 1}, false},
		{"the same MariaDB", maria, source.Server{Flavor: gtid.MariaDB, ServerID: 7, ServerUID: "u"}, true},
		{"another MariaDB", maria, source.Server{Flavor: gtid.MariaDB, ServerID: 8, ServerUID: "u"}, false},
		{"another MariaDB of this number", maria, source.Server{Flavor: gtid.MariaDB, ServerID: 7, ServerUID: "v"}, false},
		{"another kind of server", maria, source.Server{Flavor: gtid.MySQL, UUID: "u", ServerID: 7}, false},
	}
	for _, tt := range tests {
		if err := fits(tt.timeline, tt.server); (err == nil) != tt.want || err != nil && cli.ErrorCode(err) != cli.Conflict {
			t.Errorf("%s: %v, want fit: %v", tt.name, err, tt.want)
		}
	}
}

func TestCheckStart(t *testing.T) {
	files := []source.BinlogFile{{Name: "mysql-bin.000002"}, {Name: "mysql-bin.000003"}}
	for start, want := range map[string]int{zkpaths.StartEarliest: cli.OK, zkpaths.StartCurrent: cli.OK, "mysql-bin.000003": cli.OK, "mysql-bin.000001": cli.NotFound} {
		if err := checkStart(start, files); cli.ErrorCode(err) != want {
			t.Errorf("checkStart(%s) = %v, want code %d", start, err, want)
		}
	}
}

func TestNewServerID(t *testing.T) {
	var taken []uint32
	for range 100 {
		id := newServerID(taken)
		if id == 0 || slices.Contains(taken, id) {
			t.Fatalf("server id %d, want a new one above 0", id)
		}
		taken = append(taken, id)
	}
}

func TestWorkersOutput(t *testing.T) {
	var warned []string
	got := newWorkersOutput([]coord.WorkerNode{
		{Name: "server_1", Worker: zkpaths.Worker{ServerID: "1", Host: "db1"}},
		{Name: "server_2", Err: errors.New("unreadable")},
		{Name: "stranger", Err: errors.New("no worker's node")},
	}, func(text string) { warned = append(warned, text) })
	want := []workerRow{{ServerID: "1", Host: "db1"}, {ServerID: "2"}}
	if !reflect.DeepEqual(got.Workers, want) || len(warned) != 2 {
		t.Errorf("got %+v, warned %q; want %+v and two warnings", got.Workers, warned, want)
	}
}
