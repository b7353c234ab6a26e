package coord

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// StepBack moves this worker to the end of the line in one step, as an instance
// without a term: it writes status, nil for none, and puts a new instance, who, in the
// place of this one, which is worth nothing then. Errors: ErrFenced, ErrDisconnected.
func (i *Instance) StepBack(ctx context.Context, status *zkpaths.Status, who zkpaths.Instance) (*Instance, error) {
	var next *Instance
	err := i.enter(ctx)
	if err == nil {
		defer i.leave()
		next, err = i.moveBack(ctx, status, who)
	}
	if err != nil {
		return nil, fmt.Errorf("step back in the line of task %s: %w", i.task, verdict(err))
	}
	return next, nil
}

// moveBack carries out checks and, if they hold, what StepBack says. The caller holds
// the turn.
func (i *Instance) moveBack(ctx context.Context, status *zkpaths.Status, who zkpaths.Instance, checks ...any) (*Instance, error) {
	s := i.session
	data, err := zkpaths.Encode(zkpaths.Line(i.task), &who)
	if err != nil {
		return nil, err
	}
	ops := append(slices.Clone(checks), s.deleteOp(i.path(), -1),
		s.createOp(zkpaths.InstancePrefix(i.task, who.ServerID), data, zk.FlagEphemeral|zk.FlagSequence))
	write := func() ([]zk.MultiResponse, error) { return i.write(ctx, ops...) }
	if status != nil {
		write = func() ([]zk.MultiResponse, error) { return i.writeWithStatus(ctx, *status, ops...) }
	}
	var place *zkpaths.Place
	err = s.decide(ctx, func() error {
		replies, err := write()
		if err == nil {
			place, err = s.created(i.task, replies[len(ops)-1].String)
		}
		return err
	}, func() (moved bool, err error) {
		place, moved, err = i.movedTo(ctx, who.ServerID)
		return moved, err
	})
	if err != nil {
		return nil, err
	}
	return s.newInstance(i.task, *place), nil
}

// movedTo reads back whether moveBack has landed, and where. zk.ErrNoNode: the own
// instance is gone, and there is no other.
func (i *Instance) movedTo(ctx context.Context, serverID string) (*zkpaths.Place, bool, error) {
	gone, err := i.gone(ctx)
	if err != nil || !gone {
		return nil, false, err
	}
	place, err := i.session.ownPlace(ctx, i.task, serverID)
	if err == nil && place == nil {
		err = zk.ErrNoNode
	}
	return place, err == nil, err
}
