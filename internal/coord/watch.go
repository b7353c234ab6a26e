package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// A Watcher reads many tasks, and tells which of them have changed since. It
// watches the spec, the status and the line of every task that it has looked at,
// three watches each and no goroutine. A lost watch is found, and set again, by
// the next look that sees a change that was not announced: look at everything now
// and then.
//
// Its reads ask for no Sync: what one session sees never goes back, but may be a
// moment old. It ends with its session; a disconnection may lose watches, so a
// careful reader then opens another session and begins anew.
type Watcher struct {
	session *Session
	changed chan struct{} // holds one value while touched has any

	mu       sync.Mutex
	standing map[string]int64    // by path: the zxid that a standing watch has last seen, 0 before the first
	touched  map[string]bool     // ids of tasks
	views    map[string]TaskView // by id: what was read last, without the status
}

// Watch returns the session's Watcher, a new one in place of an earlier one.
func (s *Session) Watch() *Watcher {
	w := &Watcher{session: s, changed: make(chan struct{}, 1), standing: map[string]int64{}, touched: map[string]bool{}, views: map[string]TaskView{}}
	s.watcher.Store(w)
	return w
}

// Changed receives a value when there is something to Take.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Take gives the ids of the tasks that have changed since they were looked at,
// sorted, and forgets them.
func (w *Watcher) Take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for id := range w.touched {
		ids = append(ids, id)
	}
	clear(w.touched)
	slices.Sort(ids)
	return ids
}

// announced records a watch that has fired. The client calls it with locks
// held, before it hands out any reply that shows the change.
func (w *Watcher) announced(path string) {
	path, ours := strings.CutPrefix(path, w.session.cfg.Root+zkpaths.Tasks+"/")
	if !ours {
		return
	}
	id, _, _ := strings.Cut(path, "/")
	w.mu.Lock()
	defer w.mu.Unlock()
	path = zkpaths.Tasks + "/" + path
	if _, ok := w.standing[path]; !ok {
		return
	}
	delete(w.standing, path)
	w.touched[id] = true
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Look reads one task and watches it. The line's members have their places only.
// One task is to be looked at by one goroutine at a time. ErrNoTask: there is no
// such task.
func (w *Watcher) Look(ctx context.Context, id string) (TaskView, error) {
	return w.view(ctx, id, func(string) bool { return true })
}

// Refresh is a Look that reads the status, and of the rest only what was announced
// to have changed. The checkpoint, which is not watched, is the one read last, if
// that could be used.
func (w *Watcher) Refresh(ctx context.Context, id string) (TaskView, error) {
	return w.view(ctx, id, func(path string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		view, known := w.views[id]
		_, stands := w.standing[path]
		if path == zkpaths.Checkpoint(id) {
			stands = view.LastCommitErr == nil
		}
		return !known || !stands
	})
}

// view reads a task's status, and what else is stale.
func (w *Watcher) view(ctx context.Context, id string, stale func(path string) bool) (TaskView, error) {
	w.mu.Lock()
	view := w.views[id]
	w.mu.Unlock()
	view.ID = id
	err := w.fill(ctx, &view, stale)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		delete(w.views, id)
		return TaskView{}, fmt.Errorf("look at task %s: %w", id, verdictOfRead(err))
	}
	kept := view
	kept.Status, kept.StatusErr = zkpaths.Status{}, nil
	w.views[id] = kept
	return view, nil
}

func (w *Watcher) fill(ctx context.Context, view *TaskView, stale func(path string) bool) (err error) {
	id := view.ID
	if path := zkpaths.Task(id); stale(path) {
		view.Spec = zkpaths.Spec{}
		if view.SpecVersion, view.SpecErr, err = w.part(ctx, path, &view.Spec); err != nil {
			return err
		}
		if errors.Is(view.SpecErr, ErrMissing) {
			return ErrNoTask
		}
	}
	if path := zkpaths.Checkpoint(id); stale(path) {
		view.LastCommit = zkpaths.LastCommit{}
		if view.LastCommitVersion, view.LastCommitErr, err = w.session.part(ctx, path, &view.LastCommit); err != nil {
			return err
		}
	}
	if view.StatusVersion, view.StatusErr, err = w.part(ctx, zkpaths.State(id), &view.Status); err != nil {
		return err
	}
	if path := zkpaths.Line(id); stale(path) {
		return w.line(ctx, path, view)
	}
	return nil
}

func (w *Watcher) line(ctx context.Context, path string, view *TaskView) error {
	view.Line, view.Foreign, view.LineErr = nil, nil, nil
	listed, err := w.read(ctx, path, true)
	if errors.Is(err, zk.ErrNoNode) {
		view.LineErr = fmt.Errorf("%s: %w", path, ErrMissing)
		return nil
	}
	if err != nil {
		return err
	}
	line, foreign := zkpaths.ParseLine(listed.children)
	view.Foreign = foreign
	for _, place := range line {
		view.Line = append(view.Line, Member{Place: place})
	}
	return nil
}

// LastCommit reads a task's checkpoint, which is not watched. wrong says why it
// cannot be used: *zkpaths.UnreadableError, *zkpaths.NewerFormatError, ErrMissing.
// Of one task it is called by the goroutine that may Look at it.
func (w *Watcher) LastCommit(ctx context.Context, id string) (last zkpaths.LastCommit, wrong, err error) {
	path := zkpaths.Checkpoint(id)
	version, wrong, err := w.session.part(ctx, path, &last)
	if err != nil {
		return last, nil, fmt.Errorf("read %s: %w", path, verdictOfRead(err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if view, known := w.views[id]; known {
		view.LastCommit, view.LastCommitVersion, view.LastCommitErr = last, version, wrong
		w.views[id] = view
	}
	return last, wrong, nil
}

// part is Session.part, watched.
func (w *Watcher) part(ctx context.Context, path string, p zkpaths.Payload) (version int32, wrong, err error) {
	found, err := w.read(ctx, path, false)
	if errors.Is(err, zk.ErrNoNode) {
		return -1, fmt.Errorf("%s: %w", path, ErrMissing), nil
	}
	if err != nil {
		return -1, nil, err
	}
	return found.stat.Version, zkpaths.Decode(path, found.data, p), nil
}

// read reads a node's data, or lists its children, with a new watch unless one
// stands. The watch is noted before it is asked for, since it may fire before its
// reply is seen here.
func (w *Watcher) read(ctx context.Context, path string, list bool) (node, error) {
	plain, watched := w.session.get, w.session.getWatched
	if list {
		plain, watched = w.session.list, w.session.listWatched
	}
	w.mu.Lock()
	last, stood := w.standing[path]
	if !stood {
		w.standing[path] = 0
	}
	w.mu.Unlock()
	read := watched
	if stood {
		read = plain
	}
	found, err := read(ctx, path)

	w.mu.Lock()
	defer w.mu.Unlock()
	_, stands := w.standing[path]
	if stands && err != nil {
		delete(w.standing, path)
	}
	if !stands || err != nil {
		return found, err
	}
	zxid := found.stat.Mzxid
	if list {
		zxid = found.stat.Pzxid
	}
	w.standing[path] = zxid
	if stood && last != zxid { // the change was not announced: the watch is lost
		delete(w.standing, path)
	}
	return found, nil
}

// verdictOfRead turns the error of a read into what the reader acts on.
func verdictOfRead(err error) error {
	if errors.Is(err, errUnknown) {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}
