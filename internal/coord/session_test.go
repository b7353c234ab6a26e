package coord

import (
	"context"
	"errors"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

func TestDisconnectedRefusesWritesAtOnce(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s := open(t, p.Addr())
	createTask(t, s, "orders")
	term := mustClaim(t, join(t, s, "orders", "1"))
	changed := s.Changed()
	p.Cut()
	<-changed
	if s.Disconnected() == 0 {
		t.Fatal("connected after a cut")
	}
	writes := map[string]func() error{
		"commit":     func() error { return term.Commit(t.Context(), at(1)) },
		"barrier":    func() error { return term.Barrier(t.Context()) },
		"status":     func() error { return term.SetStatus(t.Context(), zkpaths.Status{}) },
		"hand over":  func() error { return term.HandOver(t.Context(), zkpaths.Status{}) },
		"resign":     func() error { return term.Resign(t.Context()) },
		"leave":      func() error { return term.own.Leave(t.Context()) },
		"own status": func() error { return term.own.SetStatus(t.Context(), zkpaths.Status{}) },
		"yield": func() error {
			_, err := term.Yield(t.Context(), zkpaths.Status{}, zkpaths.Instance{ServerID: "1"})
			return err
		},
		"join": func() error {
			_, err := s.Join(t.Context(), "orders", zkpaths.Instance{ServerID: "1"})
			return err
		},
		"claim": func() error {
			_, err := term.own.Claim(t.Context(), at(0), 1, zkpaths.Status{})
			return err
		},
	}
	for name, write := range writes {
		began := time.Now()
		if err := write(); !errors.Is(err, ErrDisconnected) {
			t.Errorf("%s: %v, want ErrDisconnected", name, err)
		}
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Errorf("%s took %s", name, took)
		}
	}
	changed = s.Changed()
	p.Heal()
	<-changed
	if err := term.Commit(t.Context(), at(1)); err != nil {
		t.Errorf("commit after the reconnect: %v", err)
	}
}

func TestExpiryEndsTheSession(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s, other := open(t, p.Addr()), open(t, standalone)
	createTask(t, s, "orders")
	join(t, s, "orders", "1")
	line := s.FollowLine(t.Context(), "orders")
	next(t, line, time.Second)
	p.Cut()
	eventually(t, timeout+2*tick+time.Second, "the instance is gone", func() bool { return len(look(t, other, "orders").Line) == 0 })
	if s.Err() != nil {
		t.Fatalf("over while cut off: %v", s.Err())
	}
	p.Heal()
	select {
	case <-s.Done():
	case <-time.After(timeout + tick):
		t.Fatal("not over in time after the reconnect")
	}
	if !errors.Is(s.Err(), ErrExpired) {
		t.Errorf("over because of %v, want ErrExpired", s.Err())
	}
	if _, ok := <-line; ok {
		t.Error("the follower outlives the session")
	}
	if _, err := s.Join(t.Context(), "orders", zkpaths.Instance{ServerID: "1"}); !errors.Is(err, ErrExpired) {
		t.Errorf("join: %v, want ErrExpired", err)
	}
}

// A server that forgets sessions and hands out new ones without a word.
func TestAnotherSessionEndsTheSession(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s := open(t, p.Addr())
	p.Script(func(f faults.Packet) faults.Action {
		if f.Direction == faults.Replies && f.Op == faults.OpOpen {
			f.Body[15] ^= 0x55
			return faults.Alter
		}
		return faults.Pass
	})
	p.Kill()
	select {
	case <-s.Done():
	case <-time.After(timeout + time.Second):
		t.Fatal("not over in time")
	}
	p.MustHaveStruck()
	if !errors.Is(s.Err(), ErrSessionChanged) {
		t.Errorf("over because of %v, want ErrSessionChanged", s.Err())
	}
}

func TestSilentServerIsPassedOver(t *testing.T) {
	checkLeaks(t)
	silent := newProxy(t)
	silent.Freeze()
	for silent.Struck() < 2 { // the order of servers is random
		began := time.Now()
		s := open(t, silent.Addr(), standalone)
		if took := time.Since(began); took > timeout {
			t.Errorf("took %s", took)
		}
		s.Close()
	}
}

func TestCloseIsQuick(t *testing.T) {
	for _, fault := range []string{"none", "refused", "frozen"} {
		t.Run(fault, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t)
			s, other := open(t, p.Addr()), open(t, standalone)
			createTask(t, s, "orders")
			join(t, s, "orders", "1")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.FollowTasks(ctx)
			bound := 2500 * time.Millisecond
			switch fault {
			case "none":
				bound = 900 * time.Millisecond
			case "refused":
				p.Cut()
				eventually(t, time.Second, "disconnected", func() bool { return s.Disconnected() > 0 })
			case "frozen":
				p.Freeze()
				go func() { _, _ = s.Tasks(ctx) }() // waits for its reply
			}
			began := time.Now()
			s.Close()
			if took := time.Since(began); took > bound {
				t.Errorf("took %s, want %s at most", took, bound)
			}
			if !errors.Is(s.Err(), ErrClosed) {
				t.Errorf("over because of %v, want ErrClosed", s.Err())
			}
			if fault == "none" && len(look(t, other, "orders").Line) != 0 {
				t.Error("the instance has outlived Close")
			}
		})
	}
}
