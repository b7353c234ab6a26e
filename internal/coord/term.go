package coord

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// A Term is one tenure as primary. Its methods may be called from any goroutine;
// writes take turns. Their errors, unless said otherwise:
//
//   - ErrFenced: the term is over, for good. Nothing was written.
//   - ErrDisconnected: nothing was sent; or the connection, or ctx, ended before
//     it was known what became of a write. The term lasts: the next call finds
//     that out before it writes.
type Term struct {
	own *Instance

	mu      sync.Mutex // guards number and last; they change with the turn only
	number  int64
	last    zkpaths.LastCommit
	version int32               // of lastCommit; held by the turn
	pending *zkpaths.LastCommit // a commit of unknown outcome; held by the turn
}

// Claim begins a term: it moves lastCommit from version, as LastCommit has given
// it with base, to base in the next term. A version of -1 makes a lastCommit
// that is missing. status is written with it. ErrLost: the checkpoint is not at
// version any more, or the own instance is gone. ErrDisconnected: nothing was
// sent, or ctx ended before the outcome was known; read the checkpoint again.
func (i *Instance) Claim(ctx context.Context, base zkpaths.LastCommit, version int32, status zkpaths.Status) (*Term, error) {
	next := base
	next.Term, next.Commit = base.Term+1, 0
	t := &Term{own: i, number: next.Term}
	t.stamp(&next)
	err := i.enter(ctx)
	if err == nil {
		defer i.leave()
		err = i.session.decide(ctx,
			func() error { return t.claim(ctx, next, version, status) },
			func() (bool, error) { return t.claimed(ctx, next, version) })
	}
	if err = verdict(err); errors.Is(err, ErrFenced) || errors.Is(err, zk.ErrNodeExists) {
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	if err != nil {
		return nil, fmt.Errorf("claim task %s: %w", i.task, err)
	}
	t.last = next
	return t, nil
}

func (t *Term) claim(ctx context.Context, next zkpaths.LastCommit, version int32, status zkpaths.Status) error {
	path := zkpaths.Checkpoint(t.own.task)
	data, err := zkpaths.Encode(path, &next)
	if err != nil {
		return err
	}
	var move any = t.own.session.setOp(path, data, version)
	if version < 0 {
		move = t.own.session.createOp(path, data, zk.FlagPersistent)
	}
	replies, err := t.own.writeWithStatus(ctx, status, t.own.checkOwn(), move)
	if err == nil && replies[1].Stat != nil {
		t.version = replies[1].Stat.Version
	}
	return err
}

// claimed reads back whether a claim has landed.
func (t *Term) claimed(ctx context.Context, next zkpaths.LastCommit, version int32) (bool, error) {
	path := zkpaths.Checkpoint(t.own.task)
	found, err := t.own.session.get(ctx, path)
	switch {
	case errors.Is(err, zk.ErrNoNode) && version < 0:
		return false, nil
	case err != nil:
		return false, err
	case found.stat.Version == version:
		return false, nil
	case !sameCommit(path, found.data, next):
		return false, zk.ErrBadVersion
	}
	t.version = found.stat.Version
	return true, nil
}

// sameCommit reports whether data is the checkpoint c. No other writer has its
// term, its commit and its instance.
func sameCommit(path string, data []byte, c zkpaths.LastCommit) bool {
	var found zkpaths.LastCommit
	if zkpaths.Decode(path, data, &found) != nil {
		return false
	}
	return found.Term == c.Term && found.Commit == c.Commit && found.Instance == c.Instance && found.CommittedAt.Equal(c.CommittedAt.Time)
}

// stamp fills in who commits, and when.
func (t *Term) stamp(c *zkpaths.LastCommit) {
	c.ServerID, c.Instance = t.own.place.ServerID, t.own.place.Name
	c.CommittedAt = zkpaths.At(time.Now())
}

// Number is the term. A Commit may raise it.
func (t *Term) Number() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.number
}

// Last is the newest checkpoint of this term that is known to be committed.
func (t *Term) Last() zkpaths.LastCommit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// enter takes the turn and finds out what became of an earlier commit.
func (t *Term) enter(ctx context.Context) error {
	if err := t.own.enter(ctx); err != nil {
		return err
	}
	err := t.resolve(ctx)
	if err != nil {
		t.own.leave()
	}
	return err
}

// checkVersion is the operation that fences a Multi that leaves lastCommit.
func (t *Term) checkVersion() any {
	return t.own.session.checkOp(zkpaths.Checkpoint(t.own.task), t.version)
}

// Commit moves the checkpoint to next. Term, commit number, server id, instance
// and time are filled in; a next.Term above Number raises the term.
func (t *Term) Commit(ctx context.Context, next zkpaths.LastCommit) error {
	err := t.enter(ctx)
	if err == nil {
		defer t.own.leave()
		t.follow(&next)
		err = t.commit(ctx, next)
	}
	if err != nil {
		return fmt.Errorf("commit to task %s: %w", t.own.task, verdict(err))
	}
	return nil
}

// follow numbers next as the commit after the last.
func (t *Term) follow(next *zkpaths.LastCommit) {
	if next.Term > t.number {
		next.Commit = 0
	} else {
		next.Term, next.Commit = t.number, t.last.Commit+1
	}
	next.Head = t.last.Head // with the keys that a later version has put there
	t.stamp(next)
}

// commit writes next until it has landed, or that cannot be known now.
func (t *Term) commit(ctx context.Context, next zkpaths.LastCommit) error {
	path := zkpaths.Checkpoint(t.own.task)
	data, err := zkpaths.Encode(path, &next)
	if err != nil {
		return err
	}
	for {
		replies, err := t.own.write(ctx, t.own.checkOwn(), t.own.session.setOp(path, data, t.version))
		if err == nil {
			t.landed(next, replies[1].Stat.Version)
			return nil
		}
		if !errors.Is(err, errUnknown) {
			return err
		}
		before := t.version
		t.pending = &next
		if err := t.resolve(ctx); err != nil {
			return err
		}
		if t.version != before {
			return nil
		}
	}
}

func (t *Term) landed(c zkpaths.LastCommit, version int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.number, t.version, t.pending = c, c.Term, version, nil
}

// resolve reads back what became of the pending commit. It does not wait for a
// connection.
func (t *Term) resolve(ctx context.Context) error {
	if t.pending == nil {
		return nil
	}
	path := zkpaths.Checkpoint(t.own.task)
	err := t.own.settled(ctx)
	if err == nil {
		err = t.own.session.sync(ctx)
	}
	if err != nil {
		return err
	}
	found, err := t.own.session.get(ctx, path)
	switch {
	case err != nil:
		return err
	case found.stat.Version == t.version:
		t.pending = nil
	case sameCommit(path, found.data, *t.pending):
		t.landed(*t.pending, found.stat.Version)
	default:
		return fmt.Errorf("%w: %s has moved to version %d", zk.ErrBadVersion, path, found.stat.Version)
	}
	return nil
}

// Barrier proves that this is the task's term still.
func (t *Term) Barrier(ctx context.Context) error {
	err := t.enter(ctx)
	if err == nil {
		defer t.own.leave()
		_, err = t.own.write(ctx, t.own.checkOwn(), t.checkVersion())
	}
	if err != nil {
		return fmt.Errorf("barrier of task %s: %w", t.own.task, verdict(err))
	}
	return nil
}

// SetStatus writes the task's status.
func (t *Term) SetStatus(ctx context.Context, status zkpaths.Status) error {
	err := t.enter(ctx)
	if err == nil {
		defer t.own.leave()
		_, err = t.own.writeWithStatus(ctx, status, t.own.checkOwn(), t.checkVersion())
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", zkpaths.State(t.own.task), verdict(err))
	}
	return nil
}

// HandOver ends the term in one step: it writes status and deletes the instance.
// The next in line may claim at once. When the connection is lost meanwhile,
// HandOver waits for the next, as long as ctx lasts.
func (t *Term) HandOver(ctx context.Context, status zkpaths.Status) error {
	err := t.enter(ctx)
	if err == nil {
		defer t.own.leave()
		err = t.own.session.decide(ctx, func() error {
			_, err := t.own.writeWithStatus(ctx, status, t.checkVersion(), t.own.session.deleteOp(t.own.path(), -1))
			return err
		}, func() (bool, error) { return t.own.gone(ctx) })
	}
	if err != nil {
		return fmt.Errorf("hand over task %s: %w", t.own.task, verdict(err))
	}
	return nil
}

// Yield is HandOver, and in the same step a new instance, who, at the end of the
// line.
func (t *Term) Yield(ctx context.Context, status zkpaths.Status, who zkpaths.Instance) (*Instance, error) {
	var next *Instance
	err := t.enter(ctx)
	if err == nil {
		defer t.own.leave()
		next, err = t.own.moveBack(ctx, &status, who, t.checkVersion())
	}
	if err != nil {
		return nil, fmt.Errorf("yield task %s: %w", t.own.task, verdict(err))
	}
	return next, nil
}

// Resign deletes the own instance, whatever else is going on: the way out for a
// watchdog when a write of this term is stuck. Gone is fine.
func (t *Term) Resign(ctx context.Context) error {
	_, err := t.own.session.multi(ctx, t.own.session.deleteOp(t.own.path(), -1))
	if err == nil || isOver(err) || errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return fmt.Errorf("resign from task %s: %w", t.own.task, verdict(err))
}
