//go:build faults

//faults:zookeeper

package coord

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

// openWith opens a session with a timeout of its own.
func openWith(t *testing.T, timeout time.Duration, servers ...string) *Session {
	t.Helper()
	s, err := Open(t.Context(), Config{Servers: servers, Root: rootOf(t), Timeout: timeout, Logger: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A commit is on its way when the connection breaks, and the session expires before there is another: the commit has
// landed or not, once, and nothing of it comes later.
func TestSessionExpiresDuringACommit(t *testing.T) {
	for name, matches := range lostMulti {
		t.Run(name, func(t *testing.T) {
			p, term, beside := primary(t)
			standby := join(t, beside, "orders", "2")
			before := look(t, beside, "orders").LastCommitVersion
			p.Script(faults.Nth(1, faults.Break, matches))
			p.Proxy.Retarget("127.0.0.1:1") // where nobody listens: there is no second connection
			err := term.Commit(t.Context(), at(1))
			if !errors.Is(err, ErrDisconnected) {
				t.Fatalf("commit: %v, want ErrDisconnected", err)
			}
			p.MustHaveStruck()
			eventually(t, timeout+2*tick+2*time.Second, "first in line", func() bool {
				return names(look(t, beside, "orders").Line) == standby.Place().Name
			})
			landed := look(t, beside, "orders")
			wanted, version := int64(0), before
			if name == "reply lost" {
				wanted, version = 1, before+1
			}
			if landed.LastCommit.Position != wanted || landed.LastCommitVersion != version {
				t.Errorf("lastCommit is at %d in version %d, want %d in %d", landed.LastCommit.Position, landed.LastCommitVersion, wanted, version)
			}
			next := mustClaim(t, standby)
			p.Retarget(standalone)
			<-term.own.session.Done()
			if err := term.Commit(t.Context(), at(2)); !errors.Is(err, ErrExpired) {
				t.Errorf("commit of the expired session: %v, want ErrExpired", err)
			}
			if err := next.Commit(t.Context(), at(7)); err != nil {
				t.Error(err)
			}
			if got := look(t, beside, "orders"); got.LastCommit.Position != 7 || got.LastCommitVersion != version+2 {
				t.Errorf("lastCommit is at %d in version %d, want 7 in %d", got.LastCommit.Position, got.LastCommitVersion, version+2)
			}
		})
	}
}

// A network of three servers with a session on a follower, by way of proxies in the order of the servers.
type separated struct {
	network  *servers.Network
	ensemble *servers.ZooKeeper
	leader   int
	follower int // the session's server
}

// separate starts an ensemble in a network, whose servers notice after a number of ticks that they are cut off.
func separate(t *testing.T, syncLimit string) *separated {
	t.Helper()
	z := &separated{network: servertest.NewNetwork(t, 3)}
	z.ensemble = servertest.StartZooKeeperWith(t, servers.ZooKeeperOptions{
		Servers: 3, Network: z.network, TickTime: tick, Properties: map[string]string{"syncLimit": syncLimit},
	})
	for n, server := range z.ensemble.Servers() {
		if mode, err := server.Mode(t.Context()); err != nil {
			t.Fatal(err)
		} else if mode == "leader" {
			z.leader = n
		}
	}
	z.follower = (z.leader + 1) % 3
	return z
}

// open opens a session with the follower, which can go on to the other servers later.
func (z *separated) open(t *testing.T, timeout time.Duration) *Session {
	t.Helper()
	var addrs []string
	var others []*faultstest.Proxy
	for n, server := range z.ensemble.Servers() {
		p := faultstest.NewProxy(t, server.Addr(), faults.ZooKeeper)
		addrs = append(addrs, p.Addr())
		if n != z.follower {
			p.Proxy.Cut()
			others = append(others, p)
		}
	}
	s := openWith(t, timeout, addrs...)
	for _, p := range others {
		p.Heal()
	}
	return s
}

// cutFollower separates the follower from the other servers, while its clients reach it.
func (z *separated) cutFollower(t *testing.T) {
	t.Helper()
	for n := range z.network.Hosts() {
		if n != z.follower {
			if err := z.network.Cut(z.follower, n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A follower that is cut off from the ensemble goes on to serve its clients until it notices, which may take long. A
// session that is on it notices by itself, and goes on with another server if it lasts so long.
func TestFollowerIsCutOff(t *testing.T) {
	t.Parallel()
	for name, syncLimit := range map[string]string{"it notices": "5", "it does not": "200"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := separate(t, syncLimit)
			s := z.open(t, 8*time.Second)
			createTask(t, s, "orders")
			term := mustClaim(t, join(t, s, "orders", "1"))
			z.cutFollower(t)
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := term.Commit(ctx, at(1)); !errors.Is(err, ErrDisconnected) {
				t.Fatalf("commit by a server that is cut off: %v, want ErrDisconnected", err)
			}
			insist(t, term, at(2))
			t.Logf("committed after %s", time.Since(began))
			if got := look(t, s, "orders").LastCommit; s.Err() != nil || got.Position != 2 || got.Term != 1 {
				t.Errorf("session %v, lastCommit %+v, want term 1 at 2", s.Err(), got)
			}
		})
	}
}

// The leader stops answering, or is cut off from all: another is elected, and a session that lasts longer goes on.
func TestLeaderIsLost(t *testing.T) {
	t.Parallel()
	z := separate(t, "5")
	s := openWith(t, 8*time.Second, strings.Split(z.ensemble.Addr(), ",")...)
	createTask(t, s, "orders")
	term := mustClaim(t, join(t, s, "orders", "1"))
	position := int64(1)
	for _, fault := range []struct {
		name         string
		strike, mend func(leader int) error
	}{
		{"isolated", z.network.Isolate, z.network.Rejoin},
		{"frozen", func(n int) error { return faults.Stop(z.ensemble.Servers()[n].Pid()) },
			func(n int) error { return faults.Continue(z.ensemble.Servers()[n].Pid()) }},
	} {
		leader := z.findLeader(t, -1)
		if err := fault.strike(leader); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		z.findLeader(t, leader)
		for range 3 {
			position++
			insist(t, term, at(position))
		}
		t.Logf("%s: committed after %s", fault.name, time.Since(began))
		if err := fault.mend(leader); err != nil {
			t.Fatal(err)
		}
		position++
		insist(t, term, at(position))
	}
	if got := look(t, s, "orders").LastCommit; s.Err() != nil || got.Term != 1 || got.Position != position {
		t.Errorf("session %v, lastCommit %+v, want term 1 at %d", s.Err(), got, position)
	}
}

// findLeader waits for a leader other than server but.
func (z *separated) findLeader(t *testing.T, but int) (leader int) {
	t.Helper()
	eventually(t, 20*time.Second, "a leader", func() bool {
		for n, server := range z.ensemble.Servers() {
			if n == but {
				continue
			}
			if mode, err := server.Mode(t.Context()); err == nil && mode == "leader" {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}
