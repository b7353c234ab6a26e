package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// An Instance is this worker's place in a task's line. It is worth nothing once
// its znode is gone, after Leave, Yield or HandOver, or when its session is over.
// Its methods may be called from any goroutine; writes take turns.
type Instance struct {
	session *Session
	task    string
	place   zkpaths.Place
	turn    chan struct{}   // of one: held by the goroutine that writes
	let     <-chan struct{} // of the last write; held by turn
}

func (s *Session) newInstance(task string, place zkpaths.Place) *Instance {
	idle := make(chan struct{})
	close(idle)
	return &Instance{session: s, task: task, place: place, turn: make(chan struct{}, 1), let: idle}
}

// Join puts this worker at the end of the task's line. An instance that this
// session has there already is taken instead. Join makes what is missing of the
// task's nodes, but never the task: ErrNoTask.
func (s *Session) Join(ctx context.Context, task string, who zkpaths.Instance) (*Instance, error) {
	data, err := zkpaths.Encode(zkpaths.Line(task), &who)
	if err != nil {
		return nil, err
	}
	if err := s.usable(); err != nil {
		return nil, fmt.Errorf("join task %s: %w", task, err)
	}
	for {
		place, err := s.ownPlace(ctx, task, who.ServerID)
		if err == nil && place == nil {
			place, err = s.enroll(ctx, task, who.ServerID, data)
		}
		switch {
		case err == nil:
			return s.newInstance(task, *place), nil
		case errors.Is(err, zk.ErrNoNode):
			err = s.mend(ctx, task)
			if err != nil && !isLoss(err) {
				return nil, fmt.Errorf("join task %s: %w", task, err)
			}
		case !isLoss(err):
			return nil, fmt.Errorf("join task %s: %w", task, err)
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("join task %s: %w: %w", task, ErrDisconnected, context.Cause(ctx))
		}
	}
}

// enroll makes the znode. The client's own way of making one that survives a
// lost reply would change its name.
func (s *Session) enroll(ctx context.Context, task, serverID string, data []byte) (*zkpaths.Place, error) {
	replies, err := s.multi(ctx, s.createOp(zkpaths.InstancePrefix(task, serverID), data, zk.FlagEphemeral|zk.FlagSequence))
	if err != nil {
		return nil, err
	}
	return s.created(task, replies[0].String)
}

// created turns the path of a new instance into its place.
func (s *Session) created(task, path string) (*zkpaths.Place, error) {
	name := strings.TrimPrefix(path, s.cfg.Root+zkpaths.Line(task)+"/")
	if place, ok := zkpaths.ParsePlace(name); ok {
		return &place, nil
	}
	return nil, fmt.Errorf("ZooKeeper made an instance of task %s at %s", task, path)
}

// ownPlace finds the instance that this session holds in the line; nil when
// there is none. zk.ErrNoNode: there is no line.
func (s *Session) ownPlace(ctx context.Context, task, serverID string) (own *zkpaths.Place, err error) {
	err = s.certain(ctx, func() error {
		own = nil
		listed, err := s.list(ctx, zkpaths.Line(task))
		if err != nil {
			return err
		}
		line, _ := zkpaths.ParseLine(listed.children)
		for _, place := range line {
			if place.ServerID != serverID {
				continue
			}
			owner, err := s.owner(ctx, zkpaths.Member(task, place.Name))
			if err != nil {
				return err
			}
			if owner == s.ID() {
				own = &place
				return nil
			}
		}
		return nil
	})
	return own, err
}

// mend makes the missing nodes of a task, each only while the task is there.
func (s *Session) mend(ctx context.Context, task string) error {
	for _, leaf := range leaves(task, time.Now()) {
		_, err := s.multi(ctx, s.checkOp(zkpaths.Task(task), -1), s.createOp(leaf.path, leaf.data, zk.FlagPersistent))
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return ErrNoTask
		case err != nil && !errors.Is(err, zk.ErrNodeExists):
			return err
		}
	}
	return nil
}

// Place is where this instance stands.
func (i *Instance) Place() zkpaths.Place { return i.place }

// Task is the id of the task.
func (i *Instance) Task() string { return i.task }

func (i *Instance) path() string { return zkpaths.Member(i.task, i.place.Name) }

// checkOwn is the operation that fences a Multi.
func (i *Instance) checkOwn() any { return i.session.checkOp(i.path(), -1) }

// enter takes the turn to write, which leave gives back.
func (i *Instance) enter(ctx context.Context) error {
	if err := i.session.usable(); err != nil {
		return err
	}
	select {
	case i.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: another write has not ended: %w", ErrDisconnected, context.Cause(ctx))
	case <-i.session.Done():
		return i.session.Err()
	}
}

func (i *Instance) leave() { <-i.turn }

// settled waits until the client has let go of the last write, which was
// perhaps given up: from then on it cannot be carried out any more.
func (i *Instance) settled(ctx context.Context) error {
	if err := i.session.usable(); err != nil {
		return err
	}
	select {
	case <-i.let:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the last write has not ended: %w", ErrDisconnected, context.Cause(ctx))
	case <-i.session.Done():
		return i.session.Err()
	}
}

// write carries out all ops or none. The caller holds the turn.
func (i *Instance) write(ctx context.Context, ops ...any) ([]zk.MultiResponse, error) {
	if err := i.settled(ctx); err != nil {
		return nil, err
	}
	r, err := i.session.beginMulti(ops...)
	if err != nil {
		return nil, err
	}
	i.let = r.let
	return r.wait(ctx)
}

// writeWithStatus carries out ops and the write of status behind them, or none.
// A status that is missing is made.
func (i *Instance) writeWithStatus(ctx context.Context, status zkpaths.Status, ops ...any) ([]zk.MultiResponse, error) {
	path := zkpaths.State(i.task)
	data, err := zkpaths.Encode(path, &status)
	if err != nil {
		return nil, err
	}
	set := append(slices.Clone(ops), i.session.setOp(path, data, -1))
	replies, err := i.write(ctx, set...)
	if !failedAt(err, len(ops)) || !errors.Is(err, zk.ErrNoNode) {
		return replies, err
	}
	create := append(slices.Clone(ops), i.session.createOp(path, data, zk.FlagPersistent))
	return i.write(ctx, create...)
}

// Leave deletes the znode; gone is fine, and so is a session that is over.
func (i *Instance) Leave(ctx context.Context) error {
	err := i.enter(ctx)
	if err == nil {
		defer i.leave()
		err = i.session.decide(ctx, func() error {
			_, err := i.write(ctx, i.session.deleteOp(i.path(), -1))
			return err
		}, func() (bool, error) { return i.gone(ctx) })
	}
	if err == nil || isOver(err) || errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return fmt.Errorf("leave %s: %w", i.path(), verdict(err))
}

// gone reports whether the znode is this instance's no longer.
func (i *Instance) gone(ctx context.Context) (bool, error) {
	owner, err := i.session.owner(ctx, i.path())
	return owner != i.session.ID(), err
}

// SetStatus writes the task's status, as an instance without a term. Errors:
// ErrFenced, ErrDisconnected.
func (i *Instance) SetStatus(ctx context.Context, status zkpaths.Status) error {
	err := i.enter(ctx)
	if err == nil {
		defer i.leave()
		_, err = i.writeWithStatus(ctx, status, i.checkOwn())
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", zkpaths.State(i.task), verdict(err))
	}
	return nil
}

// MarkStopped sets the status stopped if it names an instance that is not in
// line: one that went without handing over. A status that changes meanwhile, is
// missing or cannot be read stays as it is.
func (i *Instance) MarkStopped(ctx context.Context, line []zkpaths.Place) error {
	path := zkpaths.State(i.task)
	var status zkpaths.Status
	err := i.enter(ctx)
	if err != nil {
		return fmt.Errorf("mark %s stopped: %w", path, verdict(err))
	}
	defer i.leave()
	found, err := i.session.read(ctx, path)
	if errors.Is(err, zk.ErrNoNode) || err == nil && zkpaths.Decode(path, found.data, &status) != nil {
		return nil
	}
	stopped, vanished := stoppedBy(status, line, time.Now())
	if err == nil && vanished {
		err = i.overwrite(ctx, path, &stopped, found.stat.Version)
	}
	if err != nil && !failedAt(err, 1) {
		return fmt.Errorf("mark %s stopped: %w", path, verdict(err))
	}
	return nil
}

// overwrite writes p at path if it has that version still.
func (i *Instance) overwrite(ctx context.Context, path string, p zkpaths.Payload, version int32) error {
	data, err := zkpaths.Encode(path, p)
	if err == nil {
		_, err = i.write(ctx, i.checkOwn(), i.session.setOp(path, data, version))
	}
	return err
}

// stoppedBy is what status becomes when its instance is not in line. vanished is
// false when it stays as it is.
func stoppedBy(status zkpaths.Status, line []zkpaths.Place, now time.Time) (stopped zkpaths.Status, vanished bool) {
	named := zkpaths.Place{Name: status.Instance, ServerID: status.ServerID}
	present := slices.ContainsFunc(line, func(p zkpaths.Place) bool { return p.Name == named.Name })
	if status.State == zkpaths.StateStopped || named.Name == "" || present {
		return status, false
	}
	return status.Say(zkpaths.StateStopped, named, status.Term, now,
		"vanished", "the primary's instance is gone without a hand-over", ""), true
}

// LastCommit reads the newest checkpoint and its version, for Claim.
// ErrNoCheckpoint: there is none, and the version is -1. With a
// *zkpaths.UnreadableError or *zkpaths.NewerFormatError the version is given.
func (i *Instance) LastCommit(ctx context.Context) (zkpaths.LastCommit, int32, error) {
	path := zkpaths.Checkpoint(i.task)
	var last zkpaths.LastCommit
	found, err := i.session.read(ctx, path)
	if errors.Is(err, zk.ErrNoNode) {
		return last, -1, fmt.Errorf("%s: %w", path, ErrNoCheckpoint)
	}
	if err != nil {
		return last, -1, fmt.Errorf("read %s: %w", path, err)
	}
	err = zkpaths.Decode(path, found.data, &last)
	return last, found.stat.Version, err
}

// Status reads the newest status; one that is missing is that of a new task.
// Errors: *zkpaths.UnreadableError, *zkpaths.NewerFormatError.
func (i *Instance) Status(ctx context.Context) (zkpaths.Status, error) {
	path := zkpaths.State(i.task)
	var status zkpaths.Status
	found, err := i.session.read(ctx, path)
	if errors.Is(err, zk.ErrNoNode) {
		return zkpaths.NewStatus(time.Now()), nil
	}
	if err != nil {
		return status, fmt.Errorf("read %s: %w", path, err)
	}
	err = zkpaths.Decode(path, found.data, &status)
	return status, err
}
