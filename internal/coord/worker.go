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
	r := registration{Session: s, serverID: w.ServerID, path: path, data: data, earlier: own, refused: backoff{session: s}}
	r.begin()
	err = s.prepare(ctx)
	for done := false; err == nil && !done; {
		done, err = r.attempt(ctx)
	}
	if err == nil || errors.As(err, new(*TakenError)) {
		return err
	}
	return fmt.Errorf("register worker %s: %w", path, err)
}

// A registration is the making of a worker's node.
type registration struct {
	*Session
	serverID, path string
	data           []byte
	earlier        []int64 // sessions of this process
	refused        backoff
	patience       <-chan time.Time // for a live other that holds the node
	late           bool             // patience is over: one more look
}

// begin gives the holder of the node its whole time, from now on.
func (r *registration) begin() {
	r.patience, r.late = time.After(r.Timeout()+twoTicks), false
}

// attempt creates the node; or finds out who holds it, and waits for a reason to try
// again.
func (r *registration) attempt(ctx context.Context) (done bool, err error) {
	changed := r.Changed()
	_, err = r.multi(ctx, r.createOp(r.path, r.data, zk.FlagEphemeral))
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, new(*RefusedError)):
		return false, r.refused.wait(ctx, err)
	case !errors.Is(err, zk.ErrNodeExists) && !isLoss(err):
		return false, err
	}
	held, err := r.holder(ctx, r.path)
	if err != nil {
		return false, err
	}
	switch owner := held.stat.EphemeralOwner; {
	case held.watch == nil: // gone meanwhile
		return false, nil
	case owner == r.ID():
		return true, nil
	case owner != 0 && slices.Contains(r.earlier, owner):
		return false, r.deleteEarlier(ctx, held)
	case isClosed(changed):
		r.begin()
		return false, nil
	case r.late:
		return false, taken(r.serverID, r.path, held)
	}
	return false, r.await(ctx, held.watch, changed)
}

// deleteEarlier deletes the node of an earlier session of this process.
func (r *registration) deleteEarlier(ctx context.Context, held node) error {
	_, err := r.multi(ctx, r.deleteOp(r.path, held.stat.Version))
	if err == nil || errors.Is(err, zk.ErrNoNode) || isLoss(err) && ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("delete the node of an earlier session: %w", err)
}

// await waits until the node or the connection changes, or patience is over.
func (r *registration) await(ctx context.Context, gone <-chan zk.Event, changed <-chan struct{}) error {
	select {
	case <-gone:
	case <-changed:
		r.begin()
	case <-r.patience:
		r.late = true
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.Done():
		return r.Err()
	}
	return nil
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
