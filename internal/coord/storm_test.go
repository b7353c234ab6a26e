//go:build faults

//faults:zookeeper

package coord

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/faults/faultstest"
	"binkeeper/zkpaths"
)

// stormRelist is how often a standby looks without being woken, here.
const stormRelist = 4 * time.Second

// A client loses watches now and then when it reconnects under load. After a storm in which all sessions reconnect at
// once, again and again, with changes in the middle of each, every standby knows its line within one look, a monitor's
// sweep finds what it has not been told, and after the next sweep it is told of everything.
func TestReconnectStorm(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	var stormy, others []*Session // ZooKeeper does not bear many thousand ephemeral nodes of one
	var watchers []*Watcher
	for n := range 5 {
		others = append(others, openWith(t, maxTimeout, standalone))
		stormy = append(stormy, openWith(t, maxTimeout, p.Addr()))
		stormy[n].relist = stormRelist
		watchers = append(watchers, stormy[n].Watch())
	}
	owner := func(task int) int { return task / 10 % len(stormy) } // each round changes some tasks of every session's
	var lines []<-chan []zkpaths.Place
	makeTasks(t, others[0], stormTasks)
	for n := range stormTasks {
		lines = append(lines, stormy[owner(n)].FollowLine(t.Context(), stormTask(n)))
		watchLook(t, watchers[owner(n)], stormTask(n))
	}
	standing := make([]int, stormTasks)
	enter := func(n int) {
		raw(t, others[n%len(others)]).create(zkpaths.InstancePrefix(stormTask(n), "9"), `{"format":1}`, zk.FlagEphemeral|zk.FlagSequence)
		standing[n]++
	}
	for round := range stormRounds {
		reconnectAll(t, p, stormy, func() {
			for n := round % 10; n < stormTasks; n += 10 {
				enter(n)
			}
		})
	}
	began, bound := time.Now(), time.After(stormRelist*3/2)
	for n := range stormTasks {
		for len(lineOf(t, bound, lines[n], stormTask(n))) != standing[n] {
		}
	}
	t.Logf("%d standbys know their lines %s after the storm", stormTasks, time.Since(began))

	for range 2 { // the sweep that finds an unannounced change, and the next, which watches again
		for n := range stormTasks {
			if view := watchLook(t, watchers[owner(n)], stormTask(n)); len(view.Line) != standing[n] {
				t.Fatalf("task %d: the sweep sees %d instances, want %d", n, len(view.Line), standing[n])
			}
		}
	}
	for _, w := range watchers {
		w.Take()
	}
	for n := range stormTasks {
		enter(n)
	}
	told := map[string]bool{}
	eventually(t, 20*time.Second, "told of every task", func() bool {
		for _, w := range watchers {
			for _, id := range w.Take() {
				told[id] = true
			}
		}
		return len(told) == stormTasks
	})
}

// reconnectAll breaks the connections of all sessions at once, does something, and waits until all are connected again.
func reconnectAll(t *testing.T, p *faultstest.Proxy, sessions []*Session, meanwhile func()) {
	t.Helper()
	var broken []<-chan struct{}
	for _, s := range sessions {
		broken = append(broken, s.Changed())
	}
	p.Kill()
	meanwhile()
	for n, s := range sessions {
		select {
		case <-broken[n]:
		case <-time.After(10 * time.Second):
			t.Fatal("a connection was not broken")
		}
		eventually(t, 10*time.Second, "connected again", func() bool { return s.Disconnected() == 0 || s.Err() != nil })
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
}

// lineOf gives the newest line of a follower, which has to come before the bound.
func lineOf(t *testing.T, bound <-chan time.Time, line <-chan []zkpaths.Place, id string) []zkpaths.Place {
	t.Helper()
	select {
	case places := <-line:
		return places
	case <-bound:
		t.Fatalf("the standby of %s has not learnt within a look and a half what its line is", id)
	}
	return nil
}

func stormTask(n int) string { return fmt.Sprintf("task-%d", n) }

func makeTasks(t *testing.T, s *Session, n int) {
	t.Helper()
	const makers = 8
	var all sync.WaitGroup
	for maker := range makers {
		all.Go(func() {
			for task := maker; task < n; task += makers {
				if err := s.CreateTask(t.Context(), stormTask(task), testSpec()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
