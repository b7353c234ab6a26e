//go:build faults

//faults:zookeeper

package coord

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// startRefusing starts a server with system properties of its own.
func startRefusing(t *testing.T, properties ...string) string {
	t.Helper()
	zooKeeper, err := servers.StartZooKeeper(t.Context(), servers.ZooKeeperOptions{Dir: t.TempDir(), TickTime: tick, JavaArgs: properties})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(zooKeeper.Close)
	return zooKeeper.Addr()
}

// A quota that the server enforces refuses a term's writes, and ends no term: with
// room again, it goes on.
func TestQuotaIsExceeded(t *testing.T) {
	s := open(t, startRefusing(t, "-Dzookeeper.enforceQuota=true"))
	createTask(t, s, "orders")
	term := mustClaim(t, join(t, s, "orders", "1"))
	c := raw(t, s)
	c.root = ""
	quota := "/zookeeper/quota" + s.cfg.Root
	c.create(quota, "", zk.FlagPersistent)
	c.create(quota+"/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=-1", zk.FlagPersistent)
	c.create(quota+"/zookeeper_stats", "count=0,bytes=0", zk.FlagPersistent)

	longer := at(1 << 40)
	longer.GTIDSet = strings.Repeat("x", 1000)
	refused := func(what string, err error) {
		t.Helper()
		if refusal := (*RefusedError)(nil); !errors.As(err, &refusal) || refusal.Hint() == "" || errors.Is(err, ErrFenced) || errors.Is(err, ErrDisconnected) {
			t.Errorf("%s beyond the quota: %v", what, err)
		}
	}
	refused("a commit", term.Commit(t.Context(), longer))
	refused("a new task", s.CreateTask(t.Context(), "users", testSpec()))
	_, err := s.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error { spec.Archive += "/further/away"; return nil })
	refused("a spec", err)
	c.remove(quota + "/zookeeper_limits")
	if err := term.Commit(t.Context(), longer); err != nil || look(t, s, "orders").LastCommit.GTIDSet != longer.GTIDSet {
		t.Errorf("a commit with room again: %v", err)
	}
}

// A server that throttles carries nothing out twice, and all of it in the end.
func TestServerThrottles(t *testing.T) {
	server := startRefusing(t, "-Dzookeeper.request_throttle_max_requests=1", "-Dzookeeper.request_throttle_stall_time=20", "-Dzookeeper.throttled_op_wait_time=1")
	var log bytes.Buffer
	s, err := Open(t.Context(), Config{Servers: []string{server}, Timeout: maxTimeout, Logger: zerolog.New(zerolog.SyncWriter(&log))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createTask(t, s, "orders")
	const writers, each = 20, 2
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if _, err := s.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error { spec.SegmentSize++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if spec, version, err := s.Spec(t.Context(), "orders"); err != nil || version != writers*each || spec.SegmentSize != testSpec().SegmentSize+writers*each {
		t.Errorf("version %d, segment size %d, %v", version, spec.SegmentSize, err)
	}
	s.Close()
	if !strings.Contains(log.String(), errThrottled.Error()) {
		t.Errorf("nothing was throttled:\n%s", &log)
	}
}
