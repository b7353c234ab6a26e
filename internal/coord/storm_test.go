//go:build integration

package coord

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// A client loses watches now and then when it reconnects under load. After a storm of reconnects, with changes in the
// middle of each, every standby knows its line within one look, a monitor's sweep finds what it has not been told, and
// after the next sweep it is told of everything.
func TestReconnectStorm(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s := openWith(t, maxTimeout, p.Addr())
	var others []*Session // ZooKeeper does not bear many thousand ephemeral nodes of one
	for range 4 {
		others = append(others, openWith(t, maxTimeout, standalone))
	}
	s.relist = 4 * time.Second
	var lines []<-chan []zkpaths.Place
	makeTasks(t, others[0], stormTasks)
	watcher := s.Watch()
	for n := range stormTasks {
		lines = append(lines, s.FollowLine(t.Context(), stormTask(n)))
		watchLook(t, watcher, stormTask(n))
	}
	standing := make([]int, stormTasks)
	enter := func(n int) {
		raw(t, others[n%len(others)]).create(zkpaths.InstancePrefix(stormTask(n), "9"), `{"format":1}`, zk.FlagEphemeral|zk.FlagSequence)
		standing[n]++
	}
	for round := range stormRounds {
		p.Kill()
		for n := round % 10; n < stormTasks; n += 10 {
			enter(n)
		}
		eventually(t, 10*time.Second, "connected again", func() bool { return s.Disconnected() == 0 || s.Err() != nil })
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	stormy := time.Now()
	for n := range stormTasks {
		for len(lineOf(t, lines[n], stormTask(n))) != standing[n] {
		}
	}
	t.Logf("%d standbys know their lines %s after the storm", stormTasks, time.Since(stormy))

	watcher.Take()
	for range 2 { // the sweep that finds an unannounced change, and the next, which watches again
		for n := range stormTasks {
			if view := watchLook(t, watcher, stormTask(n)); len(view.Line) != standing[n] {
				t.Fatalf("task %d: the sweep sees %d instances, want %d", n, len(view.Line), standing[n])
			}
		}
	}
	watcher.Take()
	for n := range stormTasks {
		enter(n)
	}
	told := map[string]bool{}
	eventually(t, 20*time.Second, "told of every task", func() bool {
		for _, id := range watcher.Take() {
			told[id] = true
		}
		return len(told) == stormTasks
	})
	s.Close()
}

// lineOf gives the newest line of a follower, which has to come within one look and a half.
func lineOf(t *testing.T, line <-chan []zkpaths.Place, id string) []zkpaths.Place {
	t.Helper()
	select {
	case places := <-line:
		return places
	case <-time.After(20 * time.Second):
		t.Fatalf("the standby of %s does not learn what its line is", id)
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
