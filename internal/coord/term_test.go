//go:build integration

package coord

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

func instanceOf(serverID string) zkpaths.Instance { return zkpaths.Instance{ServerID: serverID} }

// primary gives a task whose primary reaches ZooKeeper through a proxy, and a
// session that looks on from beside.
func primary(t *testing.T) (p *proxy, term *Term, beside *Session) {
	t.Helper()
	checkLeaks(t)
	p = newProxy(t, standalone)
	s := open(t, p.addr())
	beside = open(t, standalone)
	createTask(t, s, "orders")
	return p, mustClaim(t, join(t, s, "orders", "1")), beside
}

func TestTerm(t *testing.T) {
	_, term, beside := primary(t)
	ctx := t.Context()
	if got := look(t, beside, "orders"); got.LastCommit.Term != 1 || got.LastCommit.Instance != term.Instance().Place().Name ||
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
	status := look(t, beside, "orders").Status.Say(zkpaths.StateRunning, term.Instance().Place(), 7, time.Now(), "", "", "")
	if err := term.SetStatus(ctx, status); err != nil || look(t, beside, "orders").Status.State != zkpaths.StateRunning {
		t.Errorf("set status: %v", err)
	}
	if err := term.HandOver(ctx, status.Say(zkpaths.StateStopped, term.Instance().Place(), 7, time.Now(), "", "", "")); err != nil {
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

func TestClaimRace(t *testing.T) {
	checkLeaks(t)
	const instances, rounds = 8, 6
	var racers []*Instance
	for i := range instances {
		s := open(t, standalone)
		if i == 0 {
			createTask(t, s, "orders")
		}
		racers = append(racers, join(t, s, "orders", string(rune('a'+i))))
	}
	for round := int64(1); round <= rounds; round++ {
		last, version, err := racers[0].LastCommit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var race sync.WaitGroup
		terms, errs := make([]*Term, instances), make([]error, instances)
		for i, racer := range racers {
			race.Go(func() {
				terms[i], errs[i] = racer.Claim(t.Context(), last, version, zkpaths.NewStatus(time.Now()))
			})
		}
		race.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				if got := terms[i].Number(); got != round {
					t.Errorf("round %d gave term %d", round, got)
				}
			} else if !errors.Is(err, ErrLost) {
				t.Errorf("round %d: %v, want ErrLost", round, err)
			}
		}
		if winners != 1 {
			t.Errorf("round %d has %d winners", round, winners)
		}
	}
}

func TestClaimMakesWhatIsMissing(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	i := join(t, s, "orders", "1")
	raw(t, s).remove("/tasks/orders/lastCommit")
	raw(t, s).remove("/tasks/orders/status")
	_, version, err := i.LastCommit(t.Context())
	if !errors.Is(err, ErrNoCheckpoint) || version != -1 {
		t.Fatalf("version %d, %v, want ErrNoCheckpoint", version, err)
	}
	if status, err := i.Status(t.Context()); err != nil || status.State != zkpaths.StateStopped {
		t.Errorf("a missing status reads as %+v, %v", status, err)
	}
	term, err := i.Claim(t.Context(), at(5), version, zkpaths.NewStatus(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Commit(t.Context(), at(6)); err != nil {
		t.Error(err)
	}
	if view := look(t, s, "orders"); view.LastCommit.Position != 6 || view.StatusErr != nil {
		t.Errorf("%+v", view)
	}
	if _, err := i.Claim(t.Context(), at(5), -1, zkpaths.NewStatus(time.Now())); !errors.Is(err, ErrLost) {
		t.Errorf("claim of a missing lastCommit that is there: %v, want ErrLost", err)
	}
	raw(t, s).remove("/tasks/orders/status")
	if err := term.SetStatus(t.Context(), zkpaths.NewStatus(time.Now())); err != nil {
		t.Errorf("a missing status: %v", err)
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
	raw(t, beside).remove(term.Instance().path())
	if err := term.Commit(t.Context(), at(1)); !errors.Is(err, ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	if _, err := claim(t.Context(), term.Instance()); !errors.Is(err, ErrLost) {
		t.Errorf("claim: %v, want ErrLost", err)
	}
	if err := term.Instance().SetStatus(t.Context(), zkpaths.Status{}); !errors.Is(err, ErrFenced) {
		t.Errorf("status: %v, want ErrFenced", err)
	}
	if err := term.Instance().Leave(t.Context()); err != nil {
		t.Errorf("leave: %v", err)
	}
}

// A commit is on its way when the primary is cut off, and its session expires.
func TestDeposedPrimaryNeverCommits(t *testing.T) {
	p, term, beside := primary(t)
	standby := join(t, beside, "orders", "2")
	p.freeze()
	result := make(chan error, 1)
	go func() { result <- term.Commit(t.Context(), at(666)) }()
	eventually(t, timeout+2*tick+2*time.Second, "first in line", func() bool {
		return names(look(t, beside, "orders").Line) == standby.Place().Name
	})
	next := mustClaim(t, standby)
	p.thaw()
	err := <-result
	for errors.Is(err, ErrDisconnected) {
		err = term.Commit(t.Context(), at(666))
	}
	p.mustHaveStruck()
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

// insist commits until that is known to have worked.
func insist(t *testing.T, term *Term, c zkpaths.LastCommit) {
	t.Helper()
	for {
		changed := term.Instance().session.Changed()
		err := term.Commit(t.Context(), c)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrDisconnected) {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestCommitOfUnknownOutcome(t *testing.T) {
	faults := map[string]struct {
		what    verb
		matches func(packet) bool
	}{
		"reply lost": {cut, replyTo(opMulti)}, "request lost": {cut, requestOf(opMulti)},
		"reply dropped": {drop, replyTo(opMulti)},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			before := look(t, beside, "orders").LastCommitVersion
			p.set(once(fault.what, fault.matches))
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			first := term.Commit(ctx, at(1))
			if first != nil && !errors.Is(first, ErrDisconnected) {
				t.Fatal(first)
			}
			p.mustHaveStruck()
			insist(t, term, at(2))
			insist(t, term, at(3))
			view := look(t, beside, "orders")
			if got, want := int64(view.LastCommitVersion-before), view.LastCommit.Commit; got != want || view.LastCommit.Position != 3 {
				t.Errorf("%d writes of commit %d at %d, want as many, at 3", got, want, view.LastCommit.Position)
			}
			if name == "reply lost" && view.LastCommit.Commit != 3 {
				t.Errorf("commit %d, want 3: the first has landed", view.LastCommit.Commit)
			}
			t.Logf("first: %v", first)
		})
	}
}

func TestClaimOfUnknownOutcome(t *testing.T) {
	for name, matches := range map[string]func(packet) bool{"reply lost": replyTo(opMulti), "request lost": requestOf(opMulti)} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t, standalone)
			s := open(t, p.addr())
			createTask(t, s, "orders")
			i := join(t, s, "orders", "1")
			p.set(once(cut, matches))
			term, err := claim(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			p.mustHaveStruck()
			if view := look(t, s, "orders"); view.LastCommitVersion != 1 || view.LastCommit.Term != 1 {
				t.Errorf("version %d, term %d, want one claim", view.LastCommitVersion, view.LastCommit.Term)
			}
			if err := term.Commit(t.Context(), at(1)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestYieldOfUnknownOutcome(t *testing.T) {
	for name, matches := range map[string]func(packet) bool{
		"no fault": nil, "reply lost": replyTo(opMulti), "request lost": requestOf(opMulti),
	} {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			standby := join(t, beside, "orders", "2")
			if matches != nil {
				p.set(once(cut, matches))
			}
			stopped := look(t, beside, "orders").Status.Say(zkpaths.StateStopped, term.Instance().Place(), 1, time.Now(), "", "", "")
			moved, err := term.Yield(t.Context(), stopped, instanceOf("1"))
			if err != nil {
				t.Fatal(err)
			}
			if matches != nil {
				p.mustHaveStruck()
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

func TestHandOverOfUnknownOutcome(t *testing.T) {
	for name, matches := range map[string]func(packet) bool{"reply lost": replyTo(opMulti), "request lost": requestOf(opMulti)} {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			p.set(once(cut, matches))
			stopped := look(t, beside, "orders").Status.Say(zkpaths.StateStopped, term.Instance().Place(), 1, time.Now(), "", "", "")
			if err := term.HandOver(t.Context(), stopped); err != nil {
				t.Fatal(err)
			}
			p.mustHaveStruck()
			if view := look(t, beside, "orders"); len(view.Line) != 0 || view.Status.State != zkpaths.StateStopped {
				t.Errorf("line %q, status %s", names(view.Line), view.Status.State)
			}
		})
	}
}

// A watchdog resigns while a commit hangs.
func TestResignWhileACommitHangs(t *testing.T) {
	p, term, beside := primary(t)
	p.set(once(drop, replyTo(opMulti)))
	result := make(chan error, 1)
	go func() { result <- term.Commit(t.Context(), at(1)) }()
	eventually(t, time.Second, "the reply is lost", func() bool { return p.struck.Load() > 0 })
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line := look(t, beside, "orders").Line; len(line) != 0 {
		t.Errorf("line %q, want none", names(line))
	}
	p.cutAll()
	<-result
	if err := term.Barrier(t.Context()); !errors.Is(err, ErrFenced) && !errors.Is(err, ErrDisconnected) {
		t.Errorf("barrier: %v", err)
	}
}

func TestMarkStopped(t *testing.T) {
	_, term, beside := primary(t)
	standby := join(t, beside, "orders", "2")
	line := []zkpaths.Place{term.Instance().Place(), standby.Place()}
	if err := standby.MarkStopped(t.Context(), line); err != nil || look(t, beside, "orders").Status.State != zkpaths.StateStarting {
		t.Errorf("the primary is in the line: %v", err)
	}
	raw(t, beside).remove(term.Instance().path())
	if err := standby.MarkStopped(t.Context(), line[1:]); err != nil {
		t.Error(err)
	}
	stopped := look(t, beside, "orders")
	if stopped.Status.State != zkpaths.StateStopped || stopped.Status.Instance != term.Instance().Place().Name {
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
	s := term.Instance().session
	s.relist = 200 * time.Millisecond
	line := s.FollowLine(t.Context(), "orders")
	if got := next(t, line, time.Second); len(got) != 1 {
		t.Fatalf("line %v", got)
	}
	raw(t, beside).remove(term.Instance().path())
	raw(t, beside).remove("/tasks/orders/instance")
	eventually(t, time.Second, "an empty line", func() bool { return len(next(t, line, time.Second)) == 0 })
	again := join(t, s, "orders", "1")
	if again.Place().Seq != 0 || again.Place().Name != term.Instance().Place().Name {
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
	for name, matches := range map[string]func(packet) bool{"reply lost": replyTo(opMulti), "request lost": requestOf(opMulti)} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t, standalone)
			s := open(t, p.addr())
			createTask(t, s, "orders")
			p.set(once(cut, matches))
			i := join(t, s, "orders", "1")
			p.mustHaveStruck()
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
