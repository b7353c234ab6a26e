package coord

import (
	"errors"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

func TestMarkStopped(t *testing.T) {
	_, term, beside := primary(t)
	standby := join(t, beside, "orders", "2")
	line := []zkpaths.Place{term.own.Place(), standby.Place()}
	if err := standby.MarkStopped(t.Context(), line); err != nil || look(t, beside, "orders").Status.State != zkpaths.StateStarting {
		t.Errorf("the primary is in the line: %v", err)
	}
	raw(t, beside).remove(term.own.path())
	if err := standby.MarkStopped(t.Context(), line[1:]); err != nil {
		t.Error(err)
	}
	stopped := look(t, beside, "orders")
	if stopped.Status.State != zkpaths.StateStopped || stopped.Status.Instance != term.own.Place().Name {
		t.Errorf("status %+v", stopped.Status)
	}
	if err := standby.MarkStopped(t.Context(), line[1:]); err != nil || look(t, beside, "orders").StatusVersion != stopped.StatusVersion {
		t.Errorf("marked twice: %v", err)
	}
	raw(t, beside).remove(standby.path())
	raw(t, beside).set("/tasks/orders/status", `{"format":1,"state":"running","instance":"server_9_0000000009"}`)
	if err := standby.MarkStopped(t.Context(), nil); !errors.Is(err, ErrFenced) {
		t.Errorf("by an instance that is gone: %v, want ErrFenced", err)
	}
	raw(t, beside).remove("/tasks/orders/status")
	if err := standby.MarkStopped(t.Context(), nil); err != nil {
		t.Errorf("a missing status: %v", err)
	}
}

func TestLineDeletedAndMadeAgain(t *testing.T) {
	_, term, beside := primary(t)
	s := term.own.session
	s.relist = 200 * time.Millisecond
	line := s.FollowLine(t.Context(), "orders")
	if got := next(t, line, time.Second); len(got) != 1 {
		t.Fatalf("line %v", got)
	}
	raw(t, beside).remove(term.own.path())
	raw(t, beside).remove("/tasks/orders/instance")
	eventually(t, time.Second, "an empty line", func() bool { return len(next(t, line, time.Second)) == 0 })
	again := join(t, s, "orders", "1")
	if again.Place().Seq != 0 || again.Place().Name != term.own.Place().Name {
		t.Fatalf("place %+v: the sequence has not begun again", again.Place())
	}
	eventually(t, time.Second, "the new line", func() bool { return len(next(t, line, time.Second)) == 1 })
	newer, err := claim(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	// The name is the old one; the version is not.
	if err := term.Commit(t.Context(), at(1)); !errors.Is(err, ErrFenced) {
		t.Errorf("commit of the old term: %v, want ErrFenced", err)
	}
	if err := newer.Commit(t.Context(), at(1)); err != nil {
		t.Error(err)
	}
}

func TestJoinOfUnknownOutcome(t *testing.T) {
	for name, matches := range lostMulti {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t)
			s := open(t, p.Addr())
			createTask(t, s, "orders")
			p.Script(faults.Nth(1, faults.Break, matches))
			i := join(t, s, "orders", "1")
			p.MustHaveStruck()
			if line := look(t, s, "orders").Line; names(line) != i.Place().Name || line[0].Session != s.ID() {
				t.Errorf("line %q of session %#x, want %q of %#x", names(line), line[0].Session, i.Place().Name, s.ID())
			}
			if again := join(t, s, "orders", "1"); again.Place() != i.Place() {
				t.Errorf("joined twice: %+v and %+v", i.Place(), again.Place())
			}
		})
	}
}

func TestJoinMakesTheLineButNotTheTask(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	if _, err := s.Join(t.Context(), "orders", instanceOf("1")); !errors.Is(err, ErrNoTask) {
		t.Errorf("got %v, want ErrNoTask", err)
	}
	raw(t, s).create("/tasks/orders", `{"format":1}`, zk.FlagPersistent)
	i := join(t, s, "orders", "1")
	view := look(t, s, "orders")
	if names(view.Line) != i.Place().Name || view.LastCommitErr != nil || view.StatusErr != nil {
		t.Errorf("%+v", view)
	}
	if err := i.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	if err := i.Leave(t.Context()); err != nil {
		t.Errorf("left twice: %v", err)
	}
}
