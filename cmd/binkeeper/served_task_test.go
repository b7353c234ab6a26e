//go:build faults

//faults:commands

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

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

	blocked(ctx, t, primary, term, zkpaths.BlockedDiverged)
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
	o.run(cli.TimedOut, "task", "switchover", "orders", "--to", "1", "--timeout", "3s")

	o.run(cli.OK, "task", "remove", "orders")
	o.run(cli.TimedOut, "task", "remove", "orders", "--wait", "--timeout", "3s")
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

func blocked(ctx context.Context, t *testing.T, i *coord.Instance, term *coord.Term, reason string) {
	t.Helper()
	said := status(ctx, t, i).Say(zkpaths.StateBlocked, i.Place(), term.Number(), time.Now(), reason, "", "")
	said.SeenServer = "seen"
	if err := term.SetStatus(ctx, said); err != nil {
		t.Fatal(err)
	}
}
