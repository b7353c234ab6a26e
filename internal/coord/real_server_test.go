//go:build integration

package coord

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/servers"
)

func TestMain(m *testing.M) {
	if server := os.Getenv(childServer); server != "" {
		os.Exit(serveAsChild(server))
	}
	os.Exit(withServer(m))
}

// withServer runs the tests on a real ZooKeeper.
func withServer(m *testing.M) int {
	dir, err := os.MkdirTemp("", "coord")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	zooKeeper, err := servers.StartZooKeeper(context.Background(), servers.ZooKeeperOptions{
		Dir: dir, TickTime: tick, Properties: map[string]string{"maxSessionTimeout": strconv.Itoa(int(maxTimeout.Milliseconds()))},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer zooKeeper.Close()
	standalone = zooKeeper.Addr()
	return m.Run()
}

// The environment of this program when it is to be a primary of its own, which a
// test can suspend.
const (
	childServer = "COORD_TEST_SERVER"
	childRoot   = "COORD_TEST_ROOT"
)

// serveAsChild claims the task orders and commits until it is fenced.
func serveAsChild(server string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := Open(ctx, Config{Servers: []string{server}, Root: os.Getenv(childRoot), Timeout: timeout, Logger: zerolog.Nop()})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	defer s.Close()
	term, err := childTerm(ctx, s)
	if err != nil {
		fmt.Println("claim:", err)
		return 1
	}
	for position := int64(1); ; position++ {
		err := term.Commit(ctx, at(position))
		if position == 10 {
			fmt.Println("committing")
		}
		if err != nil && !errors.Is(err, ErrDisconnected) {
			fmt.Println("fenced:", errors.Is(err, ErrFenced), err)
			return 0
		}
	}
}

func childTerm(ctx context.Context, s *Session) (*Term, error) {
	i, err := s.Join(ctx, "orders", instanceOf("1"))
	if err != nil {
		return nil, err
	}
	return claim(ctx, i)
}
