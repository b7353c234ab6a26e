package coord

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/guard"
	"binkeeper/zkpaths"
)

const (
	// missingEvery is how often a follower looks for a node that is not there: a
	// missing node gets no watch, since the client would keep it for ever.
	missingEvery = 2 * time.Second
	// brokenPause keeps a follower whose every look breaks the connection from
	// doing so in a tight loop.
	brokenPause = 100 * time.Millisecond
)

// A SpecView is what a look at a task's spec has found.
type SpecView struct {
	Spec    zkpaths.Spec
	Version int32
	Err     error // why Spec cannot be used: *zkpaths.UnreadableError or *zkpaths.NewerFormatError
	Gone    bool  // there is no such task
	zxid    int64 // of the last change; 0 when gone
}

// A TaskList is what a look at all tasks has found.
type TaskList struct {
	IDs     []string         // of all tasks, sorted
	Removed zkpaths.Removals // as they were a moment after the tasks
	zxid    int64            // of the last change of Removed; 0 when nothing was
}

// FollowTasks sends the list of all tasks, now and whenever it has changed, which
// the record of a removal is too. Of this and the other followers: only the newest
// value that was not received is kept, an unchanged one is not sent again, and
// nothing is sent while disconnected. A change is seen at once by a watch, or within
// 20 s if ZooKeeper's client loses it. The channel is closed when ctx or the session
// ends; the follower is gone then.
func (s *Session) FollowTasks(ctx context.Context) <-chan TaskList {
	foreign := s.foreign(zkpaths.Tasks)
	warned := int64(0) // of which change
	look := func(ctx context.Context, watched bool) (TaskList, <-chan zk.Event, error) {
		found, err := s.look(ctx, zkpaths.Tasks, watched, s.list, s.listWatched)
		if err != nil {
			return TaskList{}, nil, err
		}
		var list TaskList
		var others []string
		list.IDs, others = taskIDs(found.children)
		foreign(others)
		// What is gone was removed before it was listed: its removal can be seen now.
		removed, err := s.look(ctx, zkpaths.RemovedTasks, true, s.get, nil)
		if err != nil {
			return TaskList{}, nil, err
		}
		if removed.stat != nil {
			list.zxid = removed.stat.Mzxid
			if err := zkpaths.Decode(zkpaths.RemovedTasks, removed.data, &list.Removed); err != nil && warned != list.zxid {
				warned = list.zxid
				s.cfg.Logger.Warn().Err(err).Str("hint", hintOf(err)).Msg("which tasks were removed cannot be known")
			}
		}
		return list, found.watch, nil
	}
	return follow(ctx, s, zkpaths.Tasks, look, func(a, b TaskList) bool { return a.zxid == b.zxid && slices.Equal(a.IDs, b.IDs) })
}

// FollowLine sends the task's line, first in line first; it is empty when the
// task is gone. Who is first is a session's: what no session holds is
// left out.
func (s *Session) FollowLine(ctx context.Context, task string) <-chan []zkpaths.Place {
	path := zkpaths.Line(task)
	foreign := s.foreign(path)
	look := func(ctx context.Context, watched bool) ([]zkpaths.Place, <-chan zk.Event, error) {
		found, err := s.look(ctx, path, watched, s.list, s.listWatched)
		if err != nil {
			return nil, nil, err
		}
		line, others := zkpaths.ParseLine(found.children)
		for len(line) > 0 {
			first, err := s.get(ctx, zkpaths.Member(task, line[0].Name))
			if err == nil && first.stat.EphemeralOwner != 0 {
				break
			}
			if err != nil && !errors.Is(err, zk.ErrNoNode) {
				return nil, nil, err
			}
			if err == nil { // no session's: it would hold the line up for ever
				others = append(others, line[0].Name)
			}
			line = line[1:]
		}
		foreign(others)
		return line, found.watch, nil
	}
	return follow(ctx, s, path, look, slices.Equal)
}

// FollowSpec sends the task's spec.
func (s *Session) FollowSpec(ctx context.Context, task string) <-chan SpecView {
	path := zkpaths.Task(task)
	look := func(ctx context.Context, watched bool) (SpecView, <-chan zk.Event, error) {
		found, err := s.look(ctx, path, watched, s.get, s.getWatched)
		if err != nil {
			return SpecView{}, nil, err
		}
		if found.stat == nil {
			return SpecView{Gone: true}, nil, nil
		}
		view := SpecView{Version: found.stat.Version, zxid: found.stat.Mzxid}
		view.Err = zkpaths.Decode(path, found.data, &view.Spec)
		return view, found.watch, nil
	}
	return follow(ctx, s, path, look, func(a, b SpecView) bool { return a.zxid == b.zxid })
}

// look reads path with or without a new watch. A node that is not there is the
// zero node.
func (s *Session) look(ctx context.Context, path string, watched bool,
	plain, watching func(context.Context, string) (node, error)) (node, error) {
	read := watching
	if watched {
		read = plain
	}
	found, err := read(ctx, path)
	if errors.Is(err, zk.ErrNoNode) {
		return node{}, nil
	}
	return found, err
}

// follow observes, sends what is new and waits for the next reason to look. look
// is told whether a watch stands already: a second one would only pile up.
func follow[T any](ctx context.Context, s *Session, path string,
	look func(ctx context.Context, watched bool) (T, <-chan zk.Event, error), same func(a, b T) bool) <-chan T {
	f := &follower[T]{Session: s, path: path, look: look, same: same, values: make(chan T, 1), refused: backoff{session: s}}
	if s.own(func() { f.run(ctx) }) != nil {
		close(f.values)
	}
	return f.values
}

// A follower follows one znode, or the children of one.
type follower[T any] struct {
	*Session
	path    string
	look    func(ctx context.Context, watched bool) (T, <-chan zk.Event, error)
	same    func(a, b T) bool
	values  chan T
	last    *T              // as sent; nil: nothing was
	watch   <-chan zk.Event // nil: none stands
	refused backoff
}

func (f *follower[T]) run(ctx context.Context) {
	defer close(f.values)
	for {
		pause, err := f.observe(ctx)
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-f.Done():
			return
		case <-f.watch:
			f.watch = nil
		case <-time.After(jittered(pause)):
		}
	}
}

// observe looks once, and sends what is new. pause is when to look again, whatever
// happens; 0 is at once. An error says that nobody waits for more.
func (f *follower[T]) observe(ctx context.Context) (pause time.Duration, err error) {
	var value T
	var fresh <-chan zk.Event
	err = guard.Call(func() (err error) {
		value, fresh, err = f.look(ctx, f.watch != nil)
		return err
	})
	switch {
	case passing(err):
		return 0, f.refused.wait(ctx, err)
	case err == nil:
		f.refused.pause = 0
		return f.saw(value, fresh), nil
	case isLoss(err):
		return brokenPause, f.awaitConnected(ctx)
	case !isOver(err) && ctx.Err() == nil:
		unread := f.cfg.Logger.Warn().Err(err).Str("path", f.path)
		if p := guard.Panicked(err); p != nil { // what was seen last holds on
			unread.Str("stack", string(p.Stack)).Str("hint", p.Hint())
		}
		unread.Msg("cannot read a znode")
	}
	return f.relist, nil
}

// saw sends value if it is new, and returns when to look again.
func (f *follower[T]) saw(value T, fresh <-chan zk.Event) time.Duration {
	if fresh != nil {
		f.watch = fresh
	}
	if f.last == nil || !f.same(*f.last, value) {
		f.last = &value
		replace(f.values, value)
	}
	if f.watch == nil {
		return min(f.relist, missingEvery)
	}
	return f.relist
}

// replace puts value into a channel of one, in place of a value that was not
// received. The caller alone sends.
func replace[T any](values chan T, value T) {
	select {
	case <-values:
	default:
	}
	values <- value
}

// jittered spreads looks: from three quarters of d to d.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// foreign returns what warns, once each, of children of path that are not ours.
func (s *Session) foreign(path string) func(names []string) {
	var warned map[string]bool
	return func(names []string) {
		for _, name := range names {
			if warned[name] {
				continue
			}
			if warned == nil {
				warned = map[string]bool{}
			}
			warned[name] = true
			s.cfg.Logger.Warn().Str("path", path).Str("child", name).Msg("ignoring a foreign znode")
		}
	}
}

// taskIDs sorts the children of /tasks into ids and names that are none.
func taskIDs(children []string) (ids, foreign []string) {
	ids = []string{}
	for _, name := range children {
		if zkpaths.CheckTaskID(name) == nil {
			ids = append(ids, name)
		} else {
			foreign = append(foreign, name)
		}
	}
	slices.Sort(ids)
	slices.Sort(foreign)
	return ids, foreign
}
