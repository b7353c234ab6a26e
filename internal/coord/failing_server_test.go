//go:build faults

//faults:zookeeper

package coord

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

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
