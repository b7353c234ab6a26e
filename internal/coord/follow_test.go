package coord

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

// quiet fails the test if the follower sends anything within the time.
func quiet[T any](t *testing.T, values <-chan T, within time.Duration) {
	t.Helper()
	select {
	case v, ok := <-values:
		t.Errorf("got %+v, %v, want nothing", v, ok)
	case <-time.After(within):
	}
}

func TestFollow(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	s.relist = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	tasks, specs, line := s.FollowTasks(ctx), s.FollowSpec(ctx, "orders"), s.FollowLine(ctx, "orders")
	if got := next(t, tasks, time.Second); len(got.IDs) != 0 {
		t.Errorf("tasks %v, want none", got)
	}
	if got := next(t, specs, time.Second); !got.Gone {
		t.Errorf("spec %+v, want gone", got)
	}
	if got := next(t, line, time.Second); len(got) != 0 {
		t.Errorf("line %v, want none", got)
	}
	createTask(t, s, "orders")
	if got := next(t, tasks, time.Second); fmt.Sprint(got.IDs) != "[orders]" {
		t.Errorf("tasks %v", got)
	}
	if got := next(t, specs, time.Second); got.Gone || got.Err != nil || got.Spec.Source != testSpec().Source || got.Version != 0 {
		t.Errorf("spec %+v", got)
	}
	quiet(t, specs, time.Second) // looked at again, and unchanged
	quiet(t, tasks, 1)
	quiet(t, line, 1)

	first, second := join(t, s, "orders", "1"), join(t, open(t, standalone), "orders", "2")
	time.Sleep(100 * time.Millisecond)
	if got := next(t, line, time.Second); len(got) != 2 || got[0] != first.Place() || got[1] != second.Place() {
		t.Errorf("line %v, want both in order", got)
	}
	pause := func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Paused; return nil }
	if _, err := s.UpdateSpec(ctx, "orders", pause); err != nil {
		t.Fatal(err)
	}
	if got := next(t, specs, time.Second); got.Spec.Desired != zkpaths.Paused || got.Version != 1 {
		t.Errorf("spec %+v, want paused", got)
	}
	cancel()
	for range tasks {
	}
	for range specs {
	}
	for range line {
	}
}

func TestFollowersEndWithTheSession(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	tasks := s.FollowTasks(t.Context())
	next(t, tasks, time.Second)
	s.Close()
	if _, ok := <-tasks; ok {
		t.Error("a value after Close")
	}
	if _, ok := <-s.FollowTasks(t.Context()); ok {
		t.Error("a follower of a closed session sends")
	}
}

func TestFollowLineWithoutWatches(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s, other := open(t, p.Addr()), open(t, standalone)
	s.relist = 300 * time.Millisecond
	createTask(t, s, "orders")
	line := s.FollowLine(t.Context(), "orders")
	next(t, line, time.Second)
	p.Script(faults.Every(faults.Drop, faults.ReplyTo(faults.OpNone)))
	for n := 1; n <= 3; n++ {
		join(t, other, "orders", fmt.Sprint(n))
		if got := next(t, line, time.Second); len(got) != n {
			t.Errorf("line %v, want %d", got, n)
		}
	}
	p.MustHaveStruck()
	s.Close()
}

// While disconnected nothing is sent, and what changed meanwhile is seen after it.
func TestFollowOverADisconnect(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s, other := open(t, p.Addr()), open(t, standalone)
	s.relist = 200 * time.Millisecond
	createTask(t, s, "orders")
	line := s.FollowLine(t.Context(), "orders")
	next(t, line, time.Second)
	p.Cut()
	eventually(t, time.Second, "disconnected", func() bool { return s.Disconnected() > 0 })
	join(t, other, "orders", "1")
	quiet(t, line, 500*time.Millisecond)
	p.Heal()
	if got := next(t, line, 3*time.Second); len(got) != 1 {
		t.Errorf("line %v, want one", got)
	}
	s.Close()
}

// One watch at a time stands for a path, however often it is looked at.
func TestWatchesDoNotPileUp(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	s := open(t, p.Addr())
	s.relist = 20 * time.Millisecond
	createTask(t, s, "orders")
	var looks, watched atomic.Int64
	p.Proxy.Script(func(f faults.Packet) faults.Action { // it only counts
		if f.Direction == faults.Requests && f.Op == faults.ZooKeeperChildren {
			looks.Add(1)
			watched.Add(int64(f.Body[len(f.Body)-1]))
		}
		return faults.Pass
	})
	line := s.FollowLine(t.Context(), "orders")
	next(t, line, time.Second)
	eventually(t, 2*time.Second, "ten looks", func() bool { return looks.Load() >= 10 })
	s.Close()
	if watched.Load() != 1 {
		t.Errorf("%d of %d looks have set a watch, want 1", watched.Load(), looks.Load())
	}
}

// BenchmarkFollowers measures what an idle task costs: a follower of its spec and
// one of its line.
func BenchmarkFollowers(b *testing.B) {
	s, err := Open(b.Context(), Config{Servers: []string{standalone}, Root: "/BenchmarkFollowers", Timeout: timeout})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const tasks = 2000
	for n := range tasks {
		if err := s.CreateTask(b.Context(), fmt.Sprintf("task-%d", n), testSpec()); err != nil && n > 0 {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		before := inUse()
		var specs []<-chan SpecView
		var lines []<-chan []zkpaths.Place
		for n := range tasks {
			id := fmt.Sprintf("task-%d", n)
			specs, lines = append(specs, s.FollowSpec(ctx, id)), append(lines, s.FollowLine(ctx, id))
		}
		for n := range tasks {
			<-specs[n]
			<-lines[n]
		}
		b.ReportMetric(float64(inUse()-before)/tasks, "bytes/task")
		cancel()
		for n := range tasks {
			for range specs[n] {
			}
			for range lines[n] {
			}
		}
	}
}

// inUse is the memory, in bytes, of the heap and the goroutines' stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
