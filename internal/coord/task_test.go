package coord

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

func TestTaskLife(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	ctx := t.Context()
	if _, _, err := s.Spec(ctx, "orders"); !errors.Is(err, ErrNoTask) {
		t.Errorf("spec of no task: %v, want ErrNoTask", err)
	}
	if _, err := s.Look(ctx, "orders"); !errors.Is(err, ErrNoTask) {
		t.Errorf("look at no task: %v, want ErrNoTask", err)
	}
	if err := s.CreateTask(ctx, "bad id", testSpec()); err == nil {
		t.Error("a bad id was taken")
	}
	createTask(t, s, "orders")
	if err := s.CreateTask(ctx, "orders", testSpec()); !errors.Is(err, ErrTaskExists) {
		t.Errorf("created twice: %v, want ErrTaskExists", err)
	}
	createTask(t, s, "billing")
	if ids, err := s.Tasks(ctx); err != nil || strings.Join(ids, " ") != "billing orders" {
		t.Errorf("tasks %q, %v", ids, err)
	}
	i := join(t, s, "orders", "1")
	inUse := (*InUseError)(nil)
	if err := s.RemoveTask(ctx, "orders"); !errors.As(err, &inUse) || inUse.Desired != zkpaths.Running || inUse.Hint() == "" {
		t.Errorf("removed while running: %v", err)
	}
	remove := func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Removed; return nil }
	if spec, err := s.UpdateSpec(ctx, "orders", remove); err != nil || spec.Desired != zkpaths.Removed {
		t.Errorf("update: %+v, %v", spec, err)
	}
	if err := s.RemoveTask(ctx, "orders"); !errors.As(err, &inUse) || len(inUse.Nodes) != 1 || inUse.Nodes[0] != i.path() {
		t.Errorf("removed with an instance: %v", err)
	}
	if err := i.Leave(ctx); err != nil {
		t.Error(err)
	}
	raw(t, s).create("/tasks/orders/notes", "keep me", zk.FlagPersistent)
	if err := s.RemoveTask(ctx, "orders"); !errors.As(err, &inUse) || inUse.Nodes[0] != "/tasks/orders/notes" {
		t.Errorf("removed with a foreign node: %v", err)
	}
	raw(t, s).remove("/tasks/orders/notes")
	raw(t, s).remove("/tasks/orders/status")
	for range 2 { // gone is fine
		if err := s.RemoveTask(ctx, "orders"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.UpdateSpec(ctx, "orders", remove); !errors.Is(err, ErrNoTask) {
		t.Errorf("update of no task: %v, want ErrNoTask", err)
	}
}

func TestRegistryWritesOfUnknownOutcome(t *testing.T) {
	for name, matches := range lostMulti {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t)
			s := open(t, p.Addr())
			writes := []func() error{
				func() error { return s.CreateTask(t.Context(), "orders", testSpec()) },
				func() error {
					_, err := s.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error {
						spec.SegmentSize++
						spec.Desired = zkpaths.Removed
						return nil
					})
					return err
				},
				func() error { return s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil) },
				func() error { return s.RemoveTask(t.Context(), "orders") },
			}
			for n, write := range writes {
				if n == 3 {
					if view := look(t, s, "orders"); view.Spec.SegmentSize != testSpec().SegmentSize+1 || view.SpecVersion != 1 {
						t.Errorf("updated to %+v, version %d, want one update", view.Spec, view.SpecVersion)
					}
				}
				p.Script(faults.Nth(1, faults.Break, matches))
				if err := write(); err != nil {
					t.Errorf("write %d: %v", n, err)
				}
				p.MustHaveStruck()
			}
			if ids, err := s.Tasks(t.Context()); err != nil || len(ids) != 0 {
				t.Errorf("tasks %q, %v, want none", ids, err)
			}
		})
	}
}

func TestUpdatesDoNotGetLost(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	const writers, each = 4, 5
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				_, err := s.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error { spec.SegmentSize++; return nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if spec, version, err := s.Spec(t.Context(), "orders"); err != nil || version != writers*each || spec.SegmentSize != testSpec().SegmentSize+writers*each {
		t.Errorf("version %d, segment size %d, %v", version, spec.SegmentSize, err)
	}
	refusal := errors.New("no")
	if _, err := s.UpdateSpec(t.Context(), "orders", func(*zkpaths.Spec) error { return refusal }); err != refusal {
		t.Errorf("got %v, want the refusal as it is", err)
	}
}

func TestUnreadablePayloads(t *testing.T) {
	payloads := map[string]string{
		"empty": "", "text": "hello", "cut": `{"format":1,`, "list": "[]", "null": "null",
		"long": `{"format":1,"x":"` + strings.Repeat("x", 100_000) + `"}`, "newer": `{"format":2}`,
	}
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			s := open(t, standalone)
			createTask(t, s, "orders")
			i := join(t, s, "orders", "1")
			if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/tasks/orders", "/tasks/orders/lastCommit", "/tasks/orders/status", i.path(), "/workers/server_1"} {
				raw(t, s).set(path, payload)
			}
			wrong := func(what string, err error) {
				t.Helper()
				unreadable, newer := (*zkpaths.UnreadableError)(nil), (*zkpaths.NewerFormatError)(nil)
				if name == "newer" && !errors.As(err, &newer) || name != "newer" && !errors.As(err, &unreadable) {
					t.Errorf("%s: %v", what, err)
				}
			}
			view := look(t, s, "orders")
			wrong("spec in view", view.SpecErr)
			wrong("lastCommit in view", view.LastCommitErr)
			wrong("status in view", view.StatusErr)
			wrong("instance in view", view.Line[0].Err)
			_, version, err := s.Spec(t.Context(), "orders")
			wrong("spec", err)
			if version != 1 {
				t.Errorf("spec of version %d, want 1", version)
			}
			_, version, err = i.LastCommit(t.Context())
			wrong("lastCommit", err)
			if version != 1 {
				t.Errorf("lastCommit of version %d, want 1", version)
			}
			_, err = i.Status(t.Context())
			wrong("status", err)
			_, err = s.UpdateSpec(t.Context(), "orders", func(*zkpaths.Spec) error { return nil })
			wrong("update", err)
			wrong("remove", s.RemoveTask(t.Context(), "orders"))
			wrong("followed spec", next(t, s.FollowSpec(t.Context(), "orders"), time.Second).Err)
			workers, err := s.Workers(t.Context())
			if err != nil || len(workers) != 1 {
				t.Fatalf("workers %+v, %v", workers, err)
			}
			wrong("worker", workers[0].Err)
			if err := i.MarkStopped(t.Context(), nil); err != nil || look(t, s, "orders").StatusVersion != 1 {
				t.Errorf("marked stopped: %v", err)
			}
			s.Close() // the followers end
		})
	}
}

func TestForeignNodes(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	c := raw(t, s)
	for _, path := range []string{"/tasks/_odd", "/tasks/orders/instance/foo", "/tasks/orders/instance/_c_x", "/workers/foo"} {
		c.create(path, "x", zk.FlagPersistent)
	}
	c.create("/tasks/orders/instance/server_9_-000000007", `{"format":1,"server_id":"9"}`, zk.FlagEphemeral)
	c.create("/tasks/orders/instance/server_8_-000000008", `{"format":1,"server_id":"8"}`, zk.FlagPersistent) // no session's
	i := join(t, s, "orders", "1")
	view := look(t, s, "orders")
	if got, want := names(view.Line), "server_9_-000000007 "+i.Place().Name; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(view.Foreign), "[_c_x foo server_8_-000000008]"; got != want {
		t.Errorf("foreign %s, want %s", got, want)
	}
	if line := next(t, s.FollowLine(t.Context(), "orders"), time.Second); len(line) != 2 {
		t.Errorf("followed line %v", line)
	}
	if list := next(t, s.FollowTasks(t.Context()), time.Second); fmt.Sprint(list.IDs) != "[orders]" {
		t.Errorf("followed tasks %v", list)
	}
	if ids, err := s.Tasks(t.Context()); err != nil || fmt.Sprint(ids) != "[orders]" {
		t.Errorf("tasks %v, %v", ids, err)
	}
	if workers, err := s.Workers(t.Context()); err != nil || len(workers) != 1 || workers[0].Err == nil || workers[0].Name != "foo" {
		t.Errorf("workers %+v, %v", workers, err)
	}
	s.Close()
}

func TestLookAtATaskInPieces(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	raw(t, s).create("/tasks/orders", `{"format":1,"source":"s"}`, zk.FlagPersistent)
	view := look(t, s, "orders")
	if view.SpecErr != nil || view.Spec.Source != "s" {
		t.Errorf("spec %+v, %v", view.Spec, view.SpecErr)
	}
	for part, err := range map[string]error{"lastCommit": view.LastCommitErr, "status": view.StatusErr, "line": view.LineErr} {
		if !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v, want ErrMissing", part, err)
		}
	}
}

// A primary's write of the spec gives way to an operator's, keeps what a later version
// has put there, and is fenced.
func TestSetSpec(t *testing.T) {
	_, term, beside := primary(t)
	ctx := t.Context()
	path := zkpaths.Task("orders")
	written := func() string {
		t.Helper()
		found, err := beside.get(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		return string(found.data)
	}
	raw(t, beside).set(path, strings.Replace(written(), `{"format":1`, `{"later":["x"],"format":1`, 1))
	spec, version, err := beside.Spec(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := beside.UpdateSpec(ctx, "orders", func(s *zkpaths.Spec) error { s.SegmentSize++; return nil }); err != nil {
		t.Fatal(err)
	}
	spec.Owner = true
	if err := term.SetSpec(ctx, spec, version); !errors.Is(err, ErrSpecChanged) {
		t.Errorf("over an operator's change: got %v, want ErrSpecChanged", err)
	}
	if spec, version, err = beside.Spec(ctx, "orders"); err != nil || spec.Owner || spec.SegmentSize != testSpec().SegmentSize+1 {
		t.Fatalf("the spec is %+v, %v; want the operator's", spec, err)
	}
	spec.Owner = true
	if err := term.SetSpec(ctx, spec, version); err != nil {
		t.Error(err)
	}
	if got := written(); !strings.Contains(got, `"owner":true`) || !strings.Contains(got, `"later":["x"]`) {
		t.Errorf("written: %s", got)
	}
	mustClaim(t, join(t, beside, "orders", "2")) // out of turn: the first is primary no longer
	if err := term.SetSpec(ctx, spec, version+1); !errors.Is(err, ErrFenced) {
		t.Errorf("as a primary of before: got %v, want ErrFenced", err)
	}
}
