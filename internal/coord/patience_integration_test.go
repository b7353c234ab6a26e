//go:build faults

//faults:zookeeper

package coord

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
)

// These tests take the timeouts that they are about.

func TestOpenGivesUpWithItsContext(t *testing.T) {
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, addr string
		cause      error
	}{
		{"silent", listen(t, func(net.Conn) {}), nil},
		{"another protocol", listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1\r\n") }), errNotZooKeeper},
		{"half a welcome", listen(t, func(c net.Conn) { _, _ = c.Write(welcomePacket(1, time.Second)[:10]) }), nil},
		{"nobody", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil},
		{"no such host", "no-such-host.invalid:2181", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := Open(ctx, Config{Servers: []string{test.addr}, Timeout: timeout, Logger: zerolog.Nop()})
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
			var unreachable *UnreachableError
			if !errors.Is(err, ErrUnreachable) || !errors.As(err, &unreachable) || unreachable.Hint() == "" {
				t.Errorf("got %v, want an UnreachableError", err)
			}
			if !errors.Is(err, test.cause) && test.cause != nil || errors.Is(err, ErrClosed) {
				t.Errorf("got %v, want the cause %v", err, test.cause)
			}
			t.Log(time.Since(began), err)
		})
	}
}

func TestServerIDOfALiveOther(t *testing.T) {
	checkLeaks(t)
	holder, s := open(t, standalone), open(t, standalone)
	w := zkpaths.Worker{ServerID: "1", Host: "elsewhere", PID: 4711, Listen: "127.0.0.1:9108"}
	if err := holder.RegisterWorker(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	if err := holder.RegisterWorker(t.Context(), w, nil); err != nil {
		t.Errorf("registered twice by one session: %v", err)
	}
	began := time.Now()
	err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1", Host: "here"}, []int64{0, s.ID()})
	taken := (*TakenError)(nil)
	if !errors.As(err, &taken) || taken.Host != "elsewhere" || taken.PID != 4711 || taken.Hint() == "" {
		t.Errorf("got %v, want that process 4711 on elsewhere has it", err)
	}
	if took := time.Since(began); took < timeout+twoTicks || took > timeout+twoTicks+2*time.Second {
		t.Errorf("took %s, want a session timeout and two ticks", took)
	}
	if err := s.UpdateWorker(t.Context(), w); !errors.Is(err, ErrFenced) {
		t.Errorf("update of another's node: %v, want ErrFenced", err)
	}
	w.Listen = "127.0.0.1:1"
	if err := holder.UpdateWorker(t.Context(), w); err != nil {
		t.Error(err)
	}
	workers, err := s.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].Worker.Listen != w.Listen || workers[0].Session != holder.ID() || workers[0].Err != nil {
		t.Errorf("workers %+v, %v", workers, err)
	}
}

// A node that somebody has made by hand is nobody's session.
func TestServerIDOfANodeThatStays(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	raw(t, s).create("/workers/server_1", "x", zk.FlagPersistent)
	taken := (*TakenError)(nil)
	if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, []int64{0}); !errors.As(err, &taken) || taken.Host != "" {
		t.Errorf("got %v, want that somebody has it", err)
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

func TestCommitOfUnknownOutcome(t *testing.T) {
	tests := map[string]func() faults.Script{
		"reply lost":     func() faults.Script { return faults.Nth(1, faults.Break, faults.ReplyTo(faults.ZooKeeperMulti)) },
		"request lost":   func() faults.Script { return faults.Nth(1, faults.Break, faults.RequestOf(faults.ZooKeeperMulti)) },
		"server silent":  func() faults.Script { return silentFrom(faults.ReplyTo(faults.ZooKeeperMulti)) },
		"silent already": func() faults.Script { return silentFrom(faults.RequestOf(faults.ZooKeeperMulti)) },
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			before := look(t, beside, "orders").LastCommitVersion
			p.Script(fault())
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			first := term.Commit(ctx, at(1))
			if first != nil && !errors.Is(first, ErrDisconnected) {
				t.Fatal(first)
			}
			p.MustHaveStruck()
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

// listen serves every connection to a port of its own.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

// silentFrom loses every reply but those to pings, from the packet that matches to the end of its connection.
func silentFrom(matches func(faults.Packet) bool) faults.Script {
	silent := 0
	return func(f faults.Packet) faults.Action {
		if silent == 0 && matches(f) {
			silent = f.Link
		}
		if f.Link == silent && f.Direction == faults.Replies && f.Op != faults.ZooKeeperPing {
			return faults.Drop
		}
		return faults.Pass
	}
}

// insist commits until that is known to have worked.
func insist(t *testing.T, term *Term, c zkpaths.LastCommit) {
	t.Helper()
	for {
		changed := term.own.session.Changed()
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
