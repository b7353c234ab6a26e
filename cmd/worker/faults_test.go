//go:build integration

package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"binkeeper/internal/servers"
)

// faultyKinds are the sources under which a fault strikes, and how often: least where the source makes no difference.
var faultyKinds = []struct {
	kind  servers.Kind
	kills int
}{{servers.MySQL, 20}, {servers.MariaDB1011, 5}, {servers.MariaDB118, 5}}

func TestKilledPrimary(t *testing.T) {
	for _, test := range faultyKinds {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			s := newStage(t, test.kind, "--max-binlog-size=1M")
			s.createTask()
			s.start("1", "2", "3")
			l := startLoad(t, s.src)
			var term int64
			for range test.kills {
				s.await("a claim", func(v view) bool { return claimed(v, term) })
				// Most of what can go wrong goes wrong soon after a claim.
				most := []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 1500 * time.Millisecond}
				<-time.After(time.Duration(random.Int64N(int64(most[random.IntN(len(most))]))))
				struck := s.killPrimary()
				term = struck.LastCommit.Term
				s.start(struck.Line[0].ServerID)
			}
			s.awaitServing(term)
			l.stop()
			s.compare()
		})
	}
}
