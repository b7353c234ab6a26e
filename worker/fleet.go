package worker

import (
	"context"
	"maps"
	"slices"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A fleet is this worker's members in one session.
type fleet struct {
	w     *Worker
	sess  *coord.Session
	stops map[string]context.CancelFunc // by task: ends its member in good order
	ends  []chan struct{}

	alive context.Context // ends when the members are to drop everything
	abort context.CancelFunc
}

// follow makes the members those of the listed tasks.
func (f *fleet) follow(ctx context.Context, list coord.TaskList) {
	wanted := map[string]bool{}
	for _, id := range list.IDs {
		if zkpaths.CheckTaskID(id) == nil && f.w.matches(id) {
			wanted[id] = true
		}
	}
	f.w.meters.keep(wanted, f.miss(ctx, wanted, list.Removed))
	f.forget()
	for id, stop := range f.stops {
		if !wanted[id] {
			stop()
			delete(f.stops, id)
		}
	}
	for id := range wanted {
		if f.stops[id] == nil {
			f.start(ctx, id)
		}
	}
}

// forget drops the members that have ended from those that are waited for.
func (f *fleet) forget() {
	over := func(end chan struct{}) bool {
		select {
		case <-end:
			return true
		default:
			return false
		}
	}
	f.ends = slices.DeleteFunc(f.ends, over)
	maps.DeleteFunc(f.w.ended, func(_ string, end chan struct{}) bool { return over(end) })
}

// start runs a member for the task once the task's earlier member has ended.
func (f *fleet) start(ctx context.Context, task string) {
	stop, cancel := context.WithCancel(ctx)
	f.stops[task] = cancel
	before, end := f.w.ended[task], make(chan struct{})
	f.w.ended[task] = end
	f.ends = append(f.ends, end)
	f.w.members.Go(func() {
		defer close(end)
		defer cancel()
		if before != nil {
			select {
			case <-before:
			case <-f.alive.Done():
				<-before // a later member of this task waits for this one, and so for that
				return
			}
		}
		newMember(f.w, f.sess, task).run(stop, f.alive)
	})
}

// handOver ends every member in good order and waits for them; a session that
// ends meanwhile cuts it short.
func (f *fleet) handOver() {
	for _, stop := range f.stops {
		stop()
	}
	for _, end := range f.ends {
		select {
		case <-end:
		case <-f.sess.Done():
			return
		}
	}
}
