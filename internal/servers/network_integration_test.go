//go:build faults

//faults:tools

package servers_test

import (
	"net"
	"testing"
	"time"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

func TestNetwork(t *testing.T) {
	network := servertest.NewNetwork(t, 3)
	began := time.Now()
	ensemble := servertest.StartZooKeeperWith(t, servers.ZooKeeperOptions{Servers: 3, Network: network})
	t.Logf("start %s", time.Since(began).Round(time.Millisecond))
	leader := awaitLeader(t, ensemble, -1)
	if err := network.Isolate(leader); err != nil {
		t.Fatal(err)
	}
	if _, err := net.DialTimeout("tcp", ensemble.Servers()[leader].Addr(), 200*time.Millisecond); err == nil {
		t.Error("a host that is off the switch is reached")
	}
	next := awaitLeader(t, ensemble, leader)
	if err := network.Rejoin(leader); err != nil {
		t.Fatal(err)
	}
	awaitMode(t, ensemble.Servers()[leader], "follower")

	// Cut from the leader alone, a follower is reached and serves nobody.
	if err := network.Cut(leader, next); err != nil {
		t.Fatal(err)
	}
	awaitMode(t, ensemble.Servers()[leader], "")
	conn, err := net.DialTimeout("tcp", ensemble.Servers()[leader].Addr(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if mode, err := ensemble.Servers()[next].Mode(t.Context()); mode != "leader" {
		t.Errorf("the leader is %q (%v) now", mode, err)
	}
	if err := network.Mend(leader, next); err != nil {
		t.Fatal(err)
	}
	awaitMode(t, ensemble.Servers()[leader], "follower")
}

// awaitLeader waits for a leader other than server but, and gives its number.
func awaitLeader(t *testing.T, ensemble *servers.ZooKeeper, but int) int {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for n, server := range ensemble.Servers() {
			if n == but {
				continue
			}
			if mode, err := server.Mode(t.Context()); err == nil && mode == "leader" {
				return n
			}
		}
	}
	t.Fatal("no leader within 30s")
	return 0
}

// awaitMode waits until a server says what it is, "" for one that does not serve.
func awaitMode(t *testing.T, server *servers.ZooKeeperServer, want string) {
	t.Helper()
	began := time.Now()
	for deadline := began.Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if mode, err := server.Mode(t.Context()); mode == want && (err == nil || want == "") {
			t.Logf("%q after %s", want, time.Since(began).Round(time.Millisecond))
			return
		}
	}
	t.Fatalf("%s is not %q within 30s", server.Addr(), want)
}
