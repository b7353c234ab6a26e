//go:build integration

package coord

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

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
