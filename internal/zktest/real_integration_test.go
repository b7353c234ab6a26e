//go:build integration

package zktest

import (
	"net"
	"testing"

	"binkeeper/internal/servers/servertest"
)

// The same script has the same replies from a real ZooKeeper.
func TestAsTheRealOne(t *testing.T) {
	real := servertest.StartZooKeeper(t, 1).Addr()
	s := New(Options{})
	defer s.Close()
	address, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(5) {
		root := "/script" + string('a'+rune(seed))
		got := play(t, address, net.DialTimeout, root, seed, 400)
		want := play(t, real, net.DialTimeout, root, seed, 400)
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("seed %d, line %d:\n got %s\nwant %s", seed, i, append(got, "nothing")[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("seed %d: %d lines, want %d", seed, len(got), len(want))
		}
	}
}
