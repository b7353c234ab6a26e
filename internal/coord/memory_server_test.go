//go:build !integration

package coord

import (
	"fmt"
	"os"
	"testing"

	"binkeeper/internal/zktest"
)

func TestMain(m *testing.M) { os.Exit(withServer(m)) }

// withServer runs the tests on a ZooKeeper in memory. With the tag integration the same tests run on a real one.
func withServer(m *testing.M) int {
	server := zktest.New(zktest.Options{Tick: tick, MaxTimeout: maxTimeout})
	defer server.Close()
	address, err := server.Listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	standalone = address
	return m.Run()
}
