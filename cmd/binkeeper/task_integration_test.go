//go:build integration

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// passwordFile holds the password of the sources' account.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sourceURL(user, addr string) string { return "mysql://" + user + "@" + addr }

// TestTasks goes through the life of a task that no worker serves.
func TestTasks(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr() + "/tasks-test"
	store := t.TempDir()
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper, "BINKEEPER_ARCHIVE="+store, "X="+servers.Password)
	create := func(id string) []string {
		return []string{"task", "create", id, "--source", sourceURL("binkeeper", "127.0.0.1:3306"), "--password-ref", "env:X", "--skip-checks"}
	}

	var list listOutput
	o.json(&list, "task", "list")
	if list.Tasks == nil || len(list.Tasks) != 0 {
		t.Errorf("without tasks: %+v", list)
	}
	o.run(cli.OK, create("orders")...)
	o.run(cli.OK, append(create("users"), "--start", "current", "--segment-size", "64KiB", "--flush-interval", "100ms")...)
	o.run(cli.Conflict, create("orders")...)
	before := o.show("orders")
	if stdout, _ := o.run(cli.OK, append(create("orders"), "--if-not-exists", "--start", "current")...); !strings.Contains(stdout, "exists already") {
		t.Errorf("--if-not-exists: %q", stdout)
	}
	after := o.show("orders")
	if after.Spec == nil || after.Spec.Start != startEarliest || after.Spec.TaskUID != before.Spec.TaskUID || after.State != zkpaths.StateStopped || after.Desired != zkpaths.Running {
		t.Errorf("orders: %+v %+v", after, after.Spec)
	}
	if entries, err := os.ReadDir(store); err != nil || len(entries) != 0 {
		t.Errorf("--skip-checks wrote to the store: %v, %v", entries, err)
	}
	o.json(&list, "task", "list")
	if len(list.Tasks) != 2 || list.Tasks[0].ID != "orders" || list.Tasks[1].ID != "users" {
		t.Errorf("task list: %+v", list)
	}

	for _, verb := range []string{"show", "pause", "resume", "history", "switchover", "remove"} {
		o.run(cli.NotFound, "task", verb, "nobody")
	}
	o.run(cli.NotFound, "task", "set", "nobody", "--flush-interval", "2s")
	for _, verb := range []string{"list", "verify"} { // the store of the spec, in which there is nothing
		newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper).run(cli.NotFound, "archive", verb, "orders")
	}

	o.run(cli.OK, "task", "set", "orders", "--flush-interval", "2s", "--source", sourceURL("other", "[::1]:3307"))
	if spec := o.show("orders").Spec; spec.FlushInterval.String() != "2s" || spec.Source != sourceURL("other", "[::1]:3307") || spec.PasswordRef != "env:X" {
		t.Errorf("task set: %+v", spec)
	}
	o.run(cli.OK, "task", "pause", "orders")
	if got := o.show("orders").Desired; got != zkpaths.Paused {
		t.Errorf("paused: desired %q", got)
	}
	_, stderr := o.run(cli.TimedOut, "task", "pause", "orders", "--wait", "--timeout", "500ms")
	if !strings.Contains(stderr, "state stopped, no worker") {
		t.Errorf("the error does not say how the task is: %s", stderr)
	}
	o.run(cli.Conflict, "task", "resume", "orders", "--accept-gap") // it is not blocked
	o.run(cli.OK, "task", "resume", "orders")
	if got := o.show("orders"); got.Desired != zkpaths.Running || got.Spec.ResumedAt.IsZero() {
		t.Errorf("resumed: desired %q, spec %+v", got.Desired, got.Spec)
	}
	o.run(cli.Conflict, "task", "switchover", "orders")
	o.run(cli.NotFound, "task", "switchover", "orders", "--to", "9")

	var history historyOutput
	if o.json(&history, "task", "history", "orders"); history.Transitions == nil {
		t.Error("history: transitions are null")
	}
	var workers workersOutput
	if o.json(&workers, "workers"); len(workers.Workers) != 0 {
		t.Errorf("workers: %+v", workers)
	}
	o.run(cli.OK, "task", "remove", "orders", "--wait")
	o.run(cli.NotFound, "task", "show", "orders")
}

// A line of instances that the test itself keeps stands for workers.
func TestServedTask(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr()
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper)
	o.run(cli.OK, "task", "create", "orders", "--source", sourceURL("u", "127.0.0.1"), "--password-ref", "env:X", "--archive", "/backup", "--skip-checks")

	ctx := t.Context()
	first, second := openSession(t, zookeeper), openSession(t, zookeeper)
	join := func(s *coord.Session, id string) *coord.Instance {
		if err := s.RegisterWorker(ctx, zkpaths.Worker{ServerID: id, Host: "here", StartedAt: zkpaths.At(time.Now())}, nil); err != nil {
			t.Fatal(err)
		}
		i, err := s.Join(ctx, "orders", zkpaths.Instance{ServerID: id, Host: "here"})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	primary := join(first, "1")
	o.run(cli.Conflict, "task", "switchover", "orders")
	standby := join(second, "2")
	term := claim(ctx, t, primary)

	if got := o.show("orders"); got.State != zkpaths.StateStarting || got.Primary != "1" || fmt.Sprint(got.Standbys) != "[2]" || len(got.Instances) != 2 || got.Instances[1].Host != "here" || got.Term != 1 {
		t.Errorf("task show: %+v", got)
	}
	var workers workersOutput
	if o.json(&workers, "workers"); len(workers.Workers) != 2 || workers.Workers[0].ServerID != "1" || workers.Workers[0].Host != "here" {
		t.Errorf("workers: %+v", workers)
	}

	blocked(ctx, t, term, zkpaths.BlockedDiverged)
	if _, stderr := o.run(cli.Conflict, "task", "resume", "orders", "--accept-gap"); !strings.Contains(stderr, "--accept-new-timeline") {
		t.Errorf("the error does not name the right answer: %s", stderr)
	}
	o.run(cli.OK, "task", "resume", "orders", "--accept-new-timeline")
	if got := o.show("orders").Spec.Accept; got.Reason == "" || !got.Answers(zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, "seen", term.Last()) {
		t.Errorf("accept: %+v, the checkpoint is %+v", got, term.Last())
	}

	o.run(cli.OK, "task", "switchover", "orders", "--to", "1") // it is so already
	_, wait := o.start("task", "switchover", "orders")
	within(t, 10*time.Second, "the request", func() bool { return o.show("orders").Spec.SwitchoverTo == standby.Place().Name })
	moved, err := term.Yield(ctx, status(ctx, t, primary).Say(zkpaths.StateStopped, primary.Place(), term.Number(), time.Now(), "switchover", "", ""), zkpaths.Instance{ServerID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	claim(ctx, t, standby)
	if code := wait(); code != cli.OK {
		t.Errorf("task switchover: exit code %d", code)
	}
	if got := o.show("orders"); got.Primary != "2" || fmt.Sprint(got.Standbys) != "[1]" {
		t.Errorf("after the switch-over: primary %s, standbys %s", got.Primary, got.Standbys)
	}
	o.run(cli.TimedOut, "task", "switchover", "orders", "--to", "1", "--timeout", "500ms")

	o.run(cli.OK, "task", "remove", "orders")
	o.run(cli.TimedOut, "task", "remove", "orders", "--wait", "--timeout", "500ms")
	for _, verb := range []string{"pause", "resume", "switchover"} {
		o.run(cli.Conflict, "task", verb, "orders")
	}
	_, wait = o.start("task", "remove", "orders", "--wait")
	for _, i := range []*coord.Instance{moved, standby} {
		if err := i.Leave(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if code := wait(); code != cli.OK {
		t.Errorf("task remove --wait: exit code %d", code)
	}
	o.run(cli.NotFound, "task", "show", "orders")
}

func status(ctx context.Context, t *testing.T, i *coord.Instance) zkpaths.Status {
	t.Helper()
	s, err := i.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claim(ctx context.Context, t *testing.T, i *coord.Instance) *coord.Term {
	t.Helper()
	last, version, err := i.LastCommit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	term, err := i.Claim(ctx, last, version, status(ctx, t, i).Say(zkpaths.StateStarting, i.Place(), last.Term+1, time.Now(), "", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func blocked(ctx context.Context, t *testing.T, term *coord.Term, reason string) {
	t.Helper()
	i := term.Instance()
	said := status(ctx, t, i).Say(zkpaths.StateBlocked, i.Place(), term.Number(), time.Now(), reason, "", "")
	said.SeenServer = "seen"
	if err := term.SetStatus(ctx, said); err != nil {
		t.Fatal(err)
	}
}

// One unreadable znode hides no other task.
func TestUnreadableTask(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr()
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper)
	for _, id := range []string{"a", "b", "c"} {
		o.run(cli.OK, "task", "create", id, "--source", sourceURL("u", "127.0.0.1"), "--password-ref", "env:X", "--archive", "/backup", "--skip-checks")
	}
	for _, set := range [][]string{{"/tasks/a/lastCommit", "garbage"}, {"/tasks/b", `{"format":2}`}} {
		if _, err := servers.ZKCli(t.Context(), zookeeper, append([]string{"set"}, set...)...); err != nil {
			t.Fatal(err)
		}
	}
	var list listOutput
	o.json(&list, "task", "list")
	got := map[string]taskRow{}
	for _, row := range list.Tasks {
		got[row.ID] = row
	}
	if a := got["a"]; a.State != "" || !strings.Contains(a.Reason, "/tasks/a/lastCommit") {
		t.Errorf("a: %+v", a)
	}
	if b := got["b"]; b.State != "" || !strings.Contains(b.Reason, "format 2") || b.Hint == "" {
		t.Errorf("b: %+v", b)
	}
	if c := got["c"]; c.State != zkpaths.StateStopped {
		t.Errorf("c: %+v", c)
	}
	if detail := o.show("b"); detail.Spec != nil || detail.LastCommit == nil {
		t.Errorf("task show: %+v", detail)
	}
	o.run(cli.Failed, "task", "pause", "b") // what is newer is not overwritten
}
