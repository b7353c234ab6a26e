// Package servertest starts real servers for a test or benchmark, in a temporary folder, and ends them with it. It
// adds nothing else to package servers.
package servertest

import (
	"testing"

	"binkeeper/internal/servers"
)

// StartSource starts a source of the kind, with further options of its server as "--sync-binlog=0".
func StartSource(tb testing.TB, kind servers.Kind, args ...string) *servers.Source {
	tb.Helper()
	source, err := servers.StartSource(tb.Context(), servers.SourceOptions{Kind: kind, Dir: tb.TempDir(), Args: args})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := source.Close(); err != nil {
			tb.Error(err)
		}
	})
	return source
}

// StartZooKeeper starts an ensemble of n servers, a standalone one for 1, with a tick of 500 ms.
func StartZooKeeper(tb testing.TB, n int) *servers.ZooKeeper {
	tb.Helper()
	return StartZooKeeperWith(tb, servers.ZooKeeperOptions{Servers: n})
}

// StartZooKeeperWith starts an ensemble by options, whose Dir it sets.
func StartZooKeeperWith(tb testing.TB, options servers.ZooKeeperOptions) *servers.ZooKeeper {
	tb.Helper()
	options.Dir = tb.TempDir()
	zooKeeper, err := servers.StartZooKeeper(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(zooKeeper.Close)
	return zooKeeper
}

// NewNetwork makes a network of n hosts, which needs root.
func NewNetwork(tb testing.TB, n int) *servers.Network {
	tb.Helper()
	network, err := servers.NewNetwork(n)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(network.Close)
	return network
}
