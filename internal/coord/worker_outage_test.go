//go:build faults

//faults:zookeeper

package coord

import (
	"strings"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// While the ensemble is away no session expires. A worker that has died just before, and is started again, is not to
// take its own former process for a live other when the ensemble comes back.
func TestServerIDOfADeadOtherWhileTheEnsembleIsAway(t *testing.T) {
	checkLeaks(t)
	zooKeeper := servertest.StartZooKeeper(t, 1)
	server := zooKeeper.Servers()[0]
	p := faultstest.NewProxy(t, server.Addr(), faults.ZooKeeper)
	dead, s := open(t, p.Addr()), openWith(t, 3*timeout, server.Addr()) // which the server's start does not expire
	if err := dead.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	registered := make(chan error, 1)
	go func() { registered <- s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil) }()
	for waiting := ""; !strings.Contains(waiting, "Total watches:1"); <-time.After(5 * time.Millisecond) {
		var err error
		if waiting, err = server.FourLetterWord(t.Context(), "wchs"); err != nil {
			t.Fatal(err)
		}
	}
	server.Kill()
	select {
	case err := <-registered:
		t.Fatalf("registered, or given up, while the ensemble is away: %v", err)
	case <-time.After(s.Timeout() + twoTicks + 500*time.Millisecond):
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-registered; err != nil {
		t.Error(err)
	}
}
