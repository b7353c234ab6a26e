package coord

import (
	"errors"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/zkpaths"
)

func instanceOf(serverID string) zkpaths.Instance { return zkpaths.Instance{ServerID: serverID} }

// primary gives a task whose primary reaches ZooKeeper through a proxy, and a
// session that looks on from beside.
func primary(t *testing.T) (p *faultstest.Proxy, term *Term, beside *Session) {
	t.Helper()
	checkLeaks(t)
	p = newProxy(t)
	s := open(t, p.Addr())
	beside = open(t, standalone)
	createTask(t, s, "orders")
	return p, mustClaim(t, join(t, s, "orders", "1")), beside
}

func TestTerm(t *testing.T) {
	_, term, beside := primary(t)
	ctx := t.Context()
	if got := look(t, beside, "orders"); got.LastCommit.Term != 1 || got.LastCommit.Instance != term.own.Place().Name ||
		got.Status.State != zkpaths.StateStarting || got.LastCommit.ServerID != "1" || got.LastCommit.CommittedAt.IsZero() {
		t.Errorf("after the claim: %+v", got)
	}
	for position := int64(1); position <= 3; position++ {
		if err := term.Commit(ctx, at(position)); err != nil {
			t.Fatal(err)
		}
	}
	got := look(t, beside, "orders").LastCommit
	if got.Term != 1 || got.Commit != 3 || got.Position != 3 {
		t.Errorf("lastCommit %+v, want commit 3 of term 1 at 3", got)
	}
	raised := at(4)
	raised.Term = 7
	if err := term.Commit(ctx, raised); err != nil || term.Number() != 7 || term.Last().Commit != 0 {
		t.Errorf("raised: %v, term %d, commit %d, want term 7, commit 0", err, term.Number(), term.Last().Commit)
	}
	if err := term.Barrier(ctx); err != nil {
		t.Error(err)
	}
	status := look(t, beside, "orders").Status.Say(zkpaths.StateRunning, term.own.Place(), 7, time.Now(), "", "", "")
	if err := term.SetStatus(ctx, status); err != nil || look(t, beside, "orders").Status.State != zkpaths.StateRunning {
		t.Errorf("set status: %v", err)
	}
	if err := term.HandOver(ctx, status.Say(zkpaths.StateStopped, term.own.Place(), 7, time.Now(), "", "", "")); err != nil {
		t.Error(err)
	}
	if view := look(t, beside, "orders"); len(view.Line) != 0 || view.Status.State != zkpaths.StateStopped {
		t.Errorf("after the hand-over: %s, %s", names(view.Line), view.Status.State)
	}
	for name, err := range map[string]error{
		"commit": term.Commit(ctx, at(9)), "barrier": term.Barrier(ctx),
		"status": term.SetStatus(ctx, status), "hand over": term.HandOver(ctx, status),
	} {
		if !errors.Is(err, ErrFenced) {
			t.Errorf("%s after the hand-over: %v, want ErrFenced", name, err)
		}
	}
	if err := term.Resign(ctx); err != nil {
		t.Errorf("resign after the hand-over: %v", err)
	}
}

func TestNextClaimFencesTheTerm(t *testing.T) {
	_, term, beside := primary(t)
	before := term.Last()
	next := mustClaim(t, join(t, beside, "orders", "2")) // out of turn, as one may that believes itself first
	if next.Number() != 2 {
		t.Errorf("term %d, want 2", next.Number())
	}
	for name, err := range map[string]error{
		"commit": term.Commit(t.Context(), at(1)), "barrier": term.Barrier(t.Context()),
		"status":    term.SetStatus(t.Context(), zkpaths.Status{State: "rogue"}),
		"hand over": term.HandOver(t.Context(), zkpaths.Status{State: "rogue"}),
	} {
		if !errors.Is(err, ErrFenced) {
			t.Errorf("%s: %v, want ErrFenced", name, err)
		}
	}
	if _, err := term.Yield(t.Context(), zkpaths.Status{State: "rogue"}, instanceOf("1")); !errors.Is(err, ErrFenced) {
		t.Errorf("yield: %v, want ErrFenced", err)
	}
	if view := look(t, beside, "orders"); view.LastCommit.Term != 2 || view.Status.State == "rogue" || term.Last().Term != before.Term {
		t.Errorf("the fenced term has written: %+v", view)
	}
}

func TestDeletedInstanceFencesTheTerm(t *testing.T) {
	_, term, beside := primary(t)
	raw(t, beside).remove(term.own.path())
	if err := term.Commit(t.Context(), at(1)); !errors.Is(err, ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	if _, err := claim(t.Context(), term.own); !errors.Is(err, ErrLost) {
		t.Errorf("claim: %v, want ErrLost", err)
	}
	if err := term.own.SetStatus(t.Context(), zkpaths.Status{}); !errors.Is(err, ErrFenced) {
		t.Errorf("status: %v, want ErrFenced", err)
	}
	if err := term.own.Leave(t.Context()); err != nil {
		t.Errorf("leave: %v", err)
	}
}

// A commit is on its way when the primary is cut off, and its session expires.
func TestDeposedPrimaryNeverCommits(t *testing.T) {
	p, term, beside := primary(t)
	standby := join(t, beside, "orders", "2")
	p.Freeze()
	result := make(chan error, 1)
	go func() { result <- term.Commit(t.Context(), at(666)) }()
	eventually(t, timeout+2*tick+2*time.Second, "first in line", func() bool {
		return names(look(t, beside, "orders").Line) == standby.Place().Name
	})
	next := mustClaim(t, standby)
	p.Heal()
	err := <-result
	for errors.Is(err, ErrDisconnected) {
		err = term.Commit(t.Context(), at(666))
	}
	p.MustHaveStruck()
	if !errors.Is(err, ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	if err := next.Commit(t.Context(), at(7)); err != nil {
		t.Error(err)
	}
	if got := look(t, beside, "orders").LastCommit; got.Position != 7 || got.Term != 2 {
		t.Errorf("lastCommit %+v, want term 2 at 7", got)
	}
}

func TestYieldOfUnknownOutcome(t *testing.T) {
	for name, matches := range map[string]func(faults.Packet) bool{
		"no fault": nil, "reply lost": lostMulti["reply lost"], "request lost": lostMulti["request lost"],
	} {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			standby := join(t, beside, "orders", "2")
			if matches != nil {
				p.Script(faults.Nth(1, faults.Break, matches))
			}
			stopped := look(t, beside, "orders").Status.Say(zkpaths.StateStopped, term.own.Place(), 1, time.Now(), "", "", "")
			moved, err := term.Yield(t.Context(), stopped, instanceOf("1"))
			if err != nil {
				t.Fatal(err)
			}
			if matches != nil {
				p.MustHaveStruck()
			}
			view := look(t, beside, "orders")
			if got, want := names(view.Line), standby.Place().Name+" "+moved.Place().Name; got != want || view.Status.State != zkpaths.StateStopped {
				t.Errorf("line %q, status %s, want %q, stopped", got, view.Status.State, want)
			}
			if err := term.Commit(t.Context(), at(1)); !errors.Is(err, ErrFenced) {
				t.Errorf("commit after the yield: %v, want ErrFenced", err)
			}
		})
	}
}

func TestStepBackOfUnknownOutcome(t *testing.T) {
	for name, matches := range map[string]func(faults.Packet) bool{
		"no fault": nil, "reply lost": lostMulti["reply lost"], "request lost": lostMulti["request lost"],
	} {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			first := term.own
			standby := join(t, beside, "orders", "2")
			if matches != nil {
				p.Script(faults.Nth(1, faults.Break, matches))
			}
			stopped := look(t, beside, "orders").Status.Say(zkpaths.StateStopped, first.Place(), 1, time.Now(), "", "", "")
			moved, err := first.StepBack(t.Context(), &stopped, instanceOf("1"))
			if err != nil {
				t.Fatal(err)
			}
			if matches != nil {
				p.MustHaveStruck()
			}
			view := look(t, beside, "orders")
			if got, want := names(view.Line), standby.Place().Name+" "+moved.Place().Name; got != want || view.Status.State != zkpaths.StateStopped {
				t.Errorf("line %q, status %s, want %q, stopped", got, view.Status.State, want)
			}
			next, err := standby.StepBack(t.Context(), nil, instanceOf("2"))
			if err != nil {
				t.Fatal(err)
			}
			after := look(t, beside, "orders")
			if got, want := names(after.Line), moved.Place().Name+" "+next.Place().Name; got != want || after.StatusVersion != view.StatusVersion {
				t.Errorf("line %q, status of version %d, want %q, %d", got, after.StatusVersion, want, view.StatusVersion)
			}
			if _, err := standby.StepBack(t.Context(), &stopped, instanceOf("2")); !errors.Is(err, ErrFenced) {
				t.Errorf("a step back of an instance that is gone: %v, want ErrFenced", err)
			}
		})
	}
}

func TestHandOverOfUnknownOutcome(t *testing.T) {
	for name, matches := range lostMulti {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			p.Script(faults.Nth(1, faults.Break, matches))
			stopped := look(t, beside, "orders").Status.Say(zkpaths.StateStopped, term.own.Place(), 1, time.Now(), "", "", "")
			if err := term.HandOver(t.Context(), stopped); err != nil {
				t.Fatal(err)
			}
			p.MustHaveStruck()
			if view := look(t, beside, "orders"); len(view.Line) != 0 || view.Status.State != zkpaths.StateStopped {
				t.Errorf("line %q, status %s", names(view.Line), view.Status.State)
			}
		})
	}
}

// A watchdog resigns while a commit hangs.
func TestResignWhileACommitHangs(t *testing.T) {
	p, term, beside := primary(t)
	p.Script(faults.Nth(1, faults.Drop, faults.ReplyTo(faults.ZooKeeperMulti)))
	result := make(chan error, 1)
	go func() { result <- term.Commit(t.Context(), at(1)) }()
	p.AwaitStruck()
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line := look(t, beside, "orders").Line; len(line) != 0 {
		t.Errorf("line %q, want none", names(line))
	}
	p.Kill()
	<-result
	if err := term.Barrier(t.Context()); !errors.Is(err, ErrFenced) && !errors.Is(err, ErrDisconnected) {
		t.Errorf("barrier: %v", err)
	}
}
