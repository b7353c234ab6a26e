package coord

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

func remove(t *testing.T, s *Session, id string) {
	t.Helper()
	if _, err := s.UpdateSpec(t.Context(), id, func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Removed; return nil }); err != nil {
		t.Error(err)
	}
	if err := s.RemoveTask(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// Who follows the tasks sees of each one that goes whether it was removed.
func TestRemovalsAreKnown(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	createTask(t, s, "users")
	lists := s.FollowTasks(t.Context())
	until := func(what string, ok func(TaskList) bool) {
		t.Helper()
		for list := next(t, lists, time.Second); !ok(list); list = next(t, lists, time.Second) {
			t.Logf("before %s: %+v", what, list)
		}
	}
	remove(t, s, "orders")
	until("the removal", func(l TaskList) bool { return len(l.IDs) == 1 && l.Removed.Has("orders") && !l.Removed.Has("users") })
	createTask(t, s, "orders")
	until("its return", func(l TaskList) bool { return len(l.IDs) == 2 && !l.Removed.Has("orders") })

	for _, path := range []string{"/instance", "/lastCommit", "/status", ""} {
		raw(t, s).remove("/tasks/orders" + path)
	}
	until("the loss", func(l TaskList) bool { return len(l.IDs) == 1 && !l.Removed.Has("orders") })
	if err := s.RemoveVanished(t.Context(), "orders"); err != nil {
		t.Error(err)
	}
	until("the spec that removes what is lost", func(l TaskList) bool { return len(l.IDs) == 2 && !l.Removed.Has("orders") })
	if spec, _, err := s.Spec(t.Context(), "orders"); err != nil || !spec.RemovesVanished() {
		t.Errorf("the spec that removes what is lost: %+v, %v", spec, err)
	}
	if err := s.RemoveVanished(t.Context(), "orders"); !errors.Is(err, ErrTaskExists) {
		t.Errorf("removed beside another one: %v", err)
	}
	if err := s.RemoveTask(t.Context(), "orders"); err != nil {
		t.Error(err)
	}
	until("the removal of what is lost", func(l TaskList) bool { return len(l.IDs) == 1 && l.Removed.Has("orders") })
	if err := s.RemoveVanished(t.Context(), "orders"); !errors.Is(err, ErrNoTask) {
		t.Errorf("removed twice: %v", err)
	}
	if err := s.RemoveVanished(t.Context(), "users"); !errors.Is(err, ErrTaskExists) {
		t.Errorf("a task that is there: %v", err)
	}
	s.Close()
}

// A task that is created where a vanished one of its name is being removed is there
// from then on, and the removal does it no harm.
func TestCreateOverARemoval(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	if err := s.RemoveVanished(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	var made, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 4 { // of several at a time one comes first
		all.Go(func() {
			spec := testSpec()
			spec.TaskUID = strconv.Itoa(i)
			switch err := s.CreateTask(t.Context(), "orders", spec); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, ErrTaskExists):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 3 {
		t.Errorf("%d were created, %d refused", made.Load(), refused.Load())
	}
	if err := s.RemoveTask(t.Context(), "orders"); !errors.As(err, new(*InUseError)) {
		t.Errorf("a late removal: %v", err)
	}
	if v := look(t, s, "orders"); v.Spec.Desired != zkpaths.Running || v.Spec.Vanished || v.LastCommitErr != nil || v.StatusErr != nil {
		t.Errorf("the new task: %+v", v)
	}
	mustClaim(t, join(t, s, "orders", "1"))
	s.Close()
}

// Removals at the same time are all recorded, and a record that is unreadable, which
// nobody overwrites, lets tasks be created.
func TestRecordOfRemovals(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	ids := []string{"a", "b", "c", "d", "e"}
	for _, id := range ids {
		createTask(t, s, id)
	}
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() { remove(t, s, id) })
	}
	all.Wait()
	list := next(t, s.FollowTasks(t.Context()), time.Second)
	for _, id := range ids {
		if !list.Removed.Has(id) {
			t.Errorf("%s is not among %+v", id, list.Removed.Tasks)
		}
	}
	raw(t, s).set(zkpaths.RemovedTasks, "hello")
	createTask(t, s, "orders")
	_, err := s.UpdateSpec(t.Context(), "orders", func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Removed; return nil })
	if err != nil {
		t.Error(err)
	}
	if err := s.RemoveTask(t.Context(), "orders"); !errors.As(err, new(*zkpaths.UnreadableError)) {
		t.Errorf("removed beside an unreadable record: %v", err)
	}
	raw(t, s).remove(zkpaths.RemovedTasks)
	if err := s.RemoveTask(t.Context(), "orders"); err != nil {
		t.Error(err)
	}
	if found, err := s.read(t.Context(), zkpaths.RemovedTasks); errors.Is(err, zk.ErrNoNode) || found.stat.Version != 0 {
		t.Errorf("the record made anew: %+v, %v", found.stat, err)
	}
	s.Close()
}
