package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// twoTicks is how much later than its timeout a server may expire a session, at
// the default tick of 2 s.
const twoTicks = 4 * time.Second

// RegisterWorker makes the ephemeral node that holds w's server id. A node that
// one of the sessions in own holds, earlier ones of this very process, is
// deleted. When a live other holds it, RegisterWorker waits for the session
// timeout and two ticks, in case the holder has died; then it returns a
// *TakenError. While disconnected it waits, and after that anew: no session
// expires while the ensemble is away, and then each has its whole timeout again.
func (s *Session) RegisterWorker(ctx context.Context, w zkpaths.Worker, own []int64) error {
	path := zkpaths.LiveWorker(w.ServerID)
	data, err := zkpaths.Encode(path, &w)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("register worker %s: %w", path, err)
	}
	limit := s.Timeout() + twoTicks
	patience := time.After(limit)
	refused := backoff{session: s}
	for late := false; ; {
		changed := s.Changed()
		_, err := s.multi(ctx, s.createOp(path, data, zk.FlagEphemeral))
		if err == nil {
			return nil
		}
		if errors.As(err, new(*RefusedError)) {
			if err := refused.wait(ctx, err); err != nil {
				return fmt.Errorf("register worker %s: %w", path, err)
			}
			continue
		}
		if !errors.Is(err, zk.ErrNodeExists) && !isLoss(err) {
			return fmt.Errorf("register worker %s: %w", path, err)
		}
		held, err := s.holder(ctx, path)
		if err != nil {
			return fmt.Errorf("register worker %s: %w", path, err)
		}
		switch owner := held.stat.EphemeralOwner; {
		case held.watch == nil: // gone meanwhile
			continue
		case owner == s.ID():
			return nil
		case owner != 0 && slices.Contains(own, owner):
			_, err := s.multi(ctx, s.deleteOp(path, held.stat.Version))
			if err == nil || errors.Is(err, zk.ErrNoNode) || isLoss(err) && ctx.Err() == nil {
				continue
			}
			return fmt.Errorf("delete worker %s of an earlier session: %w", path, err)
		case isClosed(changed):
			patience, late = time.After(limit), false
			continue
		case late:
			return taken(w.ServerID, path, held)
		}
		select {
		case <-held.watch:
		case <-changed:
			patience = time.After(limit)
		case <-patience:
			late = true
		case <-ctx.Done():
			return fmt.Errorf("register worker %s: %w", path, context.Cause(ctx))
		case <-s.Done():
			return fmt.Errorf("register worker %s: %w", path, s.Err())
		}
	}
}

// holder reads the node at path with a watch; without one when there is none.
func (s *Session) holder(ctx context.Context, path string) (node, error) {
	var held node
	err := s.certain(ctx, func() (err error) {
		held, err = s.getWatched(ctx, path)
		return err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return node{stat: &zk.Stat{}}, nil
	}
	return held, err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func taken(serverID, path string, held node) error {
	if held.stat.EphemeralOwner == 0 {
		return &TakenError{ServerID: serverID, Stray: path}
	}
	var holder zkpaths.Worker
	if err := zkpaths.Decode(path, held.data, &holder); err != nil {
		return &TakenError{ServerID: serverID}
	}
	return &TakenError{ServerID: serverID, Host: holder.Host, PID: holder.PID}
}

// UpdateWorker writes w over the node that RegisterWorker has made in this
// session. ErrFenced: it is this session's no longer.
func (s *Session) UpdateWorker(ctx context.Context, w zkpaths.Worker) error {
	path := zkpaths.LiveWorker(w.ServerID)
	data, err := zkpaths.Encode(path, &w)
	if err != nil {
		return err
	}
	held, err := s.get(ctx, path)
	if err == nil && held.stat.EphemeralOwner != s.ID() {
		err = fmt.Errorf("%w: another session holds it", ErrFenced)
	}
	if err == nil {
		_, err = s.multi(ctx, s.setOp(path, data, held.stat.Version))
	}
	if err != nil {
		return fmt.Errorf("update worker %s: %w", path, verdict(err))
	}
	return nil
}

// A WorkerNode is one child of /workers.
type WorkerNode struct {
	Name    string // of the znode
	Session int64  // that holds it; 0 when it is not ephemeral
	Worker  zkpaths.Worker
	Err     error // why Worker is not known: it cannot be read, or the name is no worker's
}

// Workers reads the node of every worker, in the order of their names. Those
// that vanish meanwhile are left out.
func (s *Session) Workers(ctx context.Context) ([]WorkerNode, error) {
	var workers []WorkerNode
	err := s.certain(ctx, func() error {
		workers = nil
		listed, err := s.list(ctx, zkpaths.Workers)
		if err != nil {
			return err
		}
		slices.Sort(listed.children)
		for _, name := range listed.children {
			w, err := s.worker(ctx, name)
			if errors.Is(err, zk.ErrNoNode) {
				continue
			}
			if err != nil {
				return err
			}
			workers = append(workers, w)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", zkpaths.Workers, err)
	}
	return workers, nil
}

func (s *Session) worker(ctx context.Context, name string) (WorkerNode, error) {
	w := WorkerNode{Name: name}
	path := zkpaths.Workers + "/" + name
	if _, ok := zkpaths.ParseWorker(name); !ok {
		w.Err = fmt.Errorf("%s is not a worker's node", path)
		return w, nil
	}
	found, err := s.get(ctx, path)
	if err != nil {
		return w, err
	}
	w.Session = found.stat.EphemeralOwner
	w.Err = zkpaths.Decode(path, found.data, &w.Worker)
	return w, nil
}
