//go:build integration

package coord

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
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
		"leave":      func() error { return term.Instance().Leave(t.Context()) },
		"own status": func() error { return term.Instance().SetStatus(t.Context(), zkpaths.Status{}) },
		"yield": func() error {
			_, err := term.Yield(t.Context(), zkpaths.Status{}, zkpaths.Instance{ServerID: "1"})
			return err
		},
		"join": func() error {
			_, err := s.Join(t.Context(), "orders", zkpaths.Instance{ServerID: "1"})
			return err
		},
		"claim": func() error {
			_, err := term.Instance().Claim(t.Context(), at(0), 1, zkpaths.Status{})
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

// What the client has in its queue when the session expires must never run in
// another one: the client alone would do that, and say that all is well.
func TestQueuedWritesDieWithTheSession(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s, other := open(t, p.Addr()), open(t, standalone)
	createTask(t, s, "orders")
	join(t, s, "orders", "1")
	p.Cut()
	eventually(t, time.Second, "disconnected", func() bool { return s.Disconnected() > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	var tries, landed int
	var writer sync.WaitGroup
	writer.Go(func() { // the client gives up what is queued at each round of servers in vain
		for ctx.Err() == nil {
			_, err := s.conn.Set(s.cfg.Root+"/tasks/orders/lastCommit", []byte("rogue"), -1)
			tries++
			if err == nil {
				landed++
			}
		}
	})
	eventually(t, timeout+2*tick+time.Second, "the instance is gone", func() bool { return len(look(t, other, "orders").Line) == 0 })
	p.Heal()
	<-s.Done()
	time.Sleep(2500 * time.Millisecond) // two rounds of servers, for the client to do its worst
	cancel()
	s.Close()
	writer.Wait()
	if view := look(t, other, "orders"); view.LastCommitErr != nil || view.LastCommitVersion != 0 || landed != 0 || tries == 0 {
		t.Errorf("%d of %d writes went well; lastCommit has version %d, %v", landed, tries, view.LastCommitVersion, view.LastCommitErr)
	}
}

func TestSilentServerIsLeft(t *testing.T) {
	tests := map[string]func(*faultstest.Proxy){
		"frozen": (*faultstest.Proxy).Freeze,
		// It answers pings, and nothing else.
		"wedged": func(p *faultstest.Proxy) { p.Script(silentFrom(func(faults.Packet) bool { return true })) },
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			bad, good := newProxy(t), newProxy(t)
			good.Proxy.Cut() // so that the session begins with the bad one, which it may try first anyway
			s := open(t, bad.Addr(), good.Addr())
			id := s.ID()
			good.Heal()
			changed := s.Changed()
			began := time.Now()
			fault(bad)
			select {
			case <-changed:
			case <-time.After(timeout + timeout/3 + 500*time.Millisecond):
				t.Fatal("not noticed")
			}
			noticed := time.Since(began)
			eventually(t, 4*time.Second, "on the other server", func() bool { return s.Disconnected() == 0 || s.Err() != nil })
			bad.MustHaveStruck()
			t.Logf("noticed after %s, over or connected after %s: %v", noticed, time.Since(began), s.Err())
			if name == "wedged" && (s.Err() != nil || s.ID() != id) {
				t.Errorf("session %#x, %v, want %#x kept: its pings have arrived", s.ID(), s.Err(), id)
			}
		})
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

func TestAFailingServerOfThree(t *testing.T) {
	checkLeaks(t)
	ensemble := servertest.StartZooKeeper(t, 3)
	var current atomic.Value
	var addrs []string
	for _, server := range ensemble.Servers() {
		addrs = append(addrs, server.Addr())
	}
	s, err := Open(t.Context(), Config{
		Servers: addrs, Root: rootOf(t), Timeout: 6 * time.Second, Logger: zerolog.New(zerolog.NewTestWriter(t)),
		Dial: func(network, address string, timeout time.Duration) (net.Conn, error) {
			current.Store(address)
			return net.DialTimeout(network, address, timeout)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createTask(t, s, "orders")
	term := mustClaim(t, join(t, s, "orders", "1"))
	id, position := s.ID(), int64(0)
	for range 3 { // one of them is the ensemble's own first
		var killed *servers.ZooKeeperServer
		for _, server := range ensemble.Servers() {
			if server.Addr() == current.Load() {
				killed = server
			}
		}
		killed.Kill()
		eventually(t, 15*time.Second, "a commit", func() bool {
			position++
			err := term.Commit(t.Context(), at(position))
			if errors.Is(err, ErrFenced) {
				t.Fatal(err)
			}
			return err == nil
		})
		if s.ID() != id || s.Err() != nil {
			t.Fatalf("session %#x, %v, want %#x", s.ID(), s.Err(), id)
		}
		if err := killed.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(t, s, "orders").LastCommit; got.Position != term.Last().Position || got.Commit != term.Last().Commit {
		t.Errorf("lastCommit %+v, want %+v", got, term.Last())
	}
}
