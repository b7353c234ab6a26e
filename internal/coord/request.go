package coord

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"
)

// A request is one blocking call of the client, on a goroutine that the session
// owns. The client cannot take a request back: until let is closed it may still be
// sent.
type request[T any] struct {
	session *Session
	let     chan struct{} // closed when the client has let go of it
	value   T             // once let is closed
	err     error         // once let is closed
}

func begin[T any](s *Session, call func(*zk.Conn) (T, error)) (*request[T], error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	r := &request[T]{session: s, let: make(chan struct{})}
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	err := s.own(func() {
		defer close(r.let)
		r.value, r.err = call(s.conn)
		if r.err = answered(r.err); errors.Is(r.err, errMoved) {
			s.hangUp(w, errMoved) // the server takes another connection for the session's: a new one settles it
		}
	})
	return r, err
}

// wait returns the reply. Its error is one of the server's definite answers, why
// the session is over, or an errUnknown.
func (r *request[T]) wait(ctx context.Context) (T, error) {
	var none T
	select {
	case <-r.let:
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", errUnknown, context.Cause(ctx))
	case <-r.session.Done():
		select {
		case <-r.let:
		default:
			return none, r.session.Err()
		}
	}
	switch {
	case r.err == nil, isDefinite(r.err):
		return r.value, r.err
	case r.session.Err() != nil:
		return none, r.session.Err()
	}
	return none, fmt.Errorf("%w: %w", errUnknown, r.err)
}

func ask[T any](ctx context.Context, s *Session, call func(*zk.Conn) (T, error)) (T, error) {
	r, err := begin(s, call)
	if err != nil {
		var none T
		return none, err
	}
	return r.wait(ctx)
}

// A node is what stands at a path. Its watch fires at the next change; nil when
// none was asked for.
type node struct {
	data     []byte
	children []string
	stat     *zk.Stat
	watch    <-chan zk.Event
}

func (s *Session) get(ctx context.Context, path string) (node, error) {
	return ask(ctx, s, func(c *zk.Conn) (node, error) {
		data, stat, err := c.Get(s.cfg.Root + path)
		return node{data: data, stat: stat}, err
	})
}

func (s *Session) getWatched(ctx context.Context, path string) (node, error) {
	s.watching.Store(true)
	return ask(ctx, s, func(c *zk.Conn) (node, error) {
		data, stat, watch, err := c.GetW(s.cfg.Root + path)
		return node{data: data, stat: stat, watch: watch}, err
	})
}

func (s *Session) list(ctx context.Context, path string) (node, error) {
	return ask(ctx, s, func(c *zk.Conn) (node, error) {
		children, stat, err := c.Children(s.cfg.Root + path)
		return node{children: children, stat: stat}, err
	})
}

func (s *Session) listWatched(ctx context.Context, path string) (node, error) {
	s.watching.Store(true)
	return ask(ctx, s, func(c *zk.Conn) (node, error) {
		children, stat, watch, err := c.ChildrenW(s.cfg.Root + path)
		return node{children: children, stat: stat, watch: watch}, err
	})
}

// owner is the session that the ephemeral node at path belongs to; 0 when there
// is no node, or it is not ephemeral.
func (s *Session) owner(ctx context.Context, path string) (int64, error) {
	return ask(ctx, s, func(c *zk.Conn) (int64, error) {
		there, stat, err := c.Exists(s.cfg.Root + path)
		if err != nil || !there {
			return 0, err
		}
		return stat.EphemeralOwner, nil
	})
}

// sync waits until the server has seen all that the ensemble had agreed on.
func (s *Session) sync(ctx context.Context) error {
	_, err := ask(ctx, s, func(c *zk.Conn) (string, error) { return c.Sync("/") })
	return err
}

// ensure makes an empty node at path, from the very root, unless there is one.
func (s *Session) ensure(ctx context.Context, path string) error {
	_, err := ask(ctx, s, func(c *zk.Conn) (string, error) {
		if there, _, err := c.Exists(path); err != nil || there {
			return "", err
		}
		return c.Create(path, nil, zk.FlagPersistent, anyone)
	})
	if err != nil && !errors.Is(err, zk.ErrNodeExists) {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return nil
}

// certain runs look, which may be run any number of times, after a Sync. When
// the connection is lost it waits for the next one and runs it again, and when the
// server refuses for now it waits and asks again, until ctx or the session ends.
func (s *Session) certain(ctx context.Context, look func() error) error {
	refused := backoff{session: s}
	for {
		if err := s.awaitConnected(ctx); err != nil {
			return err
		}
		err := s.sync(ctx)
		if err == nil {
			err = look()
		}
		if passing(err) {
			if err := refused.wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		if !isLoss(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: no answer: %w", ErrDisconnected, context.Cause(ctx))
		}
	}
}

// decide sends a write and finds out what became of it: while that is unknown,
// landed looks, and a write that did not land is sent again, as is one that was
// refused for now.
func (s *Session) decide(ctx context.Context, send func() error, landed func() (bool, error)) error {
	refused := backoff{session: s}
	for {
		err := send()
		if passing(err) {
			if err := refused.wait(ctx, err); err != nil {
				return err
			}
			if err := s.awaitConnected(ctx); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, errUnknown) || ctx.Err() != nil {
			return err
		}
		done := false
		err = s.certain(ctx, func() (err error) {
			done, err = landed()
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

// anyone may do anything: access is the ensemble's and the network's matter.
var anyone = zk.WorldACL(zk.PermAll)

// The operations of a Multi, by path below the root.

func (s *Session) checkOp(path string, version int32) *zk.CheckVersionRequest {
	return &zk.CheckVersionRequest{Path: s.cfg.Root + path, Version: version}
}

func (s *Session) setOp(path string, data []byte, version int32) *zk.SetDataRequest {
	return &zk.SetDataRequest{Path: s.cfg.Root + path, Data: data, Version: version}
}

func (s *Session) createOp(path string, data []byte, flags int32) *zk.CreateRequest {
	return &zk.CreateRequest{Path: s.cfg.Root + path, Data: data, Acl: anyone, Flags: flags}
}

func (s *Session) deleteOp(path string, version int32) *zk.DeleteRequest {
	return &zk.DeleteRequest{Path: s.cfg.Root + path, Version: version}
}

// multi carries out all ops or none. A definite error is a *failedOp.
func (s *Session) multi(ctx context.Context, ops ...any) ([]zk.MultiResponse, error) {
	r, err := s.beginMulti(ops...)
	if err != nil {
		return nil, err
	}
	return r.wait(ctx)
}

func (s *Session) beginMulti(ops ...any) (*request[[]zk.MultiResponse], error) {
	return begin(s, func(c *zk.Conn) ([]zk.MultiResponse, error) {
		replies, err := c.Multi(ops...)
		if err = answered(err); isDefinite(err) {
			return nil, &failedOp{culprit(replies), err}
		}
		return replies, err
	})
}

// culprit finds the operation that made a Multi fail: the client shows those
// before it without an error and those after it with one that is no answer.
func culprit(replies []zk.MultiResponse) int {
	for i, reply := range replies {
		if isDefinite(answered(reply.Error)) {
			return i
		}
	}
	return -1
}
