package worker

import (
	"context"
	"maps"
	"slices"

	"binkeeper/zkpaths"
)

// maxPublished is how many vanished tasks a worker's node names: it must not outgrow
// a znode.
const maxPublished = 256

// A served is what this process remembers of its tasks, over all its sessions: a
// task that goes without having been removed has vanished, until it is there again
// or is removed.
type served struct {
	known    map[string]bool
	vanished map[string]bool // of known
}

// look takes in which tasks there are. removed reports of one that is gone whether it
// was removed. It returns those that have vanished and those that are back, sorted,
// and whether anything has changed in what has vanished.
func (s *served) look(there map[string]bool, removed func(task string) bool) (lost, back []string, changed bool) {
	for task := range there {
		s.known[task] = true
		if s.vanished[task] {
			delete(s.vanished, task)
			back = append(back, task)
		}
	}
	for task := range s.known {
		switch {
		case there[task]:
		case removed(task):
			changed = changed || s.vanished[task]
			delete(s.known, task)
			delete(s.vanished, task)
		case !s.vanished[task]:
			s.vanished[task] = true
			lost = append(lost, task)
		}
	}
	slices.Sort(lost)
	slices.Sort(back)
	return lost, back, changed || len(lost)+len(back) > 0
}

// miss looks for tasks that have vanished, says so, and returns all of them.
func (f *fleet) miss(ctx context.Context, there map[string]bool, removals zkpaths.Removals) (vanished map[string]bool) {
	lost, back, changed := f.w.served.look(there, func(task string) bool {
		return removals.Has(task) || f.w.meters.of(task).leaving.Load()
	})
	for _, task := range lost {
		f.w.log.Error().Str("task", task).Str("hint", zkpaths.HintVanished(task)).
			Msg("the task has vanished: its znodes are gone, and nobody has removed it; its archive stays as it is")
	}
	for _, task := range back {
		f.w.log.Info().Str("task", task).Msg("the task that had vanished has a spec again: it is created anew, or is being removed")
	}
	if changed {
		f.publish(ctx)
	}
	return f.w.served.vanished
}

// publish names what has vanished in this worker's node. Where that fails the next
// session's node does.
func (f *fleet) publish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, f.sess.Timeout())
	defer cancel()
	if err := f.sess.UpdateWorker(ctx, f.w.node()); err != nil {
		f.w.log.Debug().Err(err).Msg("the worker's node does not name what has vanished")
	}
}

// names are those that have vanished, sorted: not all where there are many.
func (s *served) names() []string {
	all := slices.Sorted(maps.Keys(s.vanished))
	return all[:min(len(all), maxPublished)]
}
