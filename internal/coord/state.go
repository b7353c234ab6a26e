package coord

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
)

// dial opens a connection for the client; none once the session is over, so
// that nothing that the client still has in its queue is ever sent.
func (s *Session) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	conn, err := s.cfg.Dial(network, address, timeout)
	if err != nil {
		s.blame(address, err)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		conn.Close()
		return nil, s.err
	}
	s.wire = newWire(conn, s, s.id != 0 && s.watching.Load())
	return s.wire, nil
}

// welcome judges the session that a server grants. An error refuses it.
func (s *Session) welcome(id int64, timeout time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case id == 0 && s.id == 0:
		return errors.New("the server refuses to open a session")
	case id == 0:
		s.endLocked(ErrExpired)
		return nil
	case s.id != 0 && s.id != id:
		s.endLocked(ErrSessionChanged)
		return ErrSessionChanged
	}
	s.id, s.timeout = id, timeout
	return nil
}

// notice takes the client's events. The client calls it with locks held, so it
// only notes the state, and for a Watcher what changed; other watches are waited
// for on their own channels.
func (s *Session) notice(event zk.Event) {
	if event.Type != zk.EventSession {
		if w := s.watcher.Load(); w != nil {
			w.announced(event.Path)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch event.State {
	case zk.StateHasSession:
		s.setConnectedLocked(true)
	case zk.StateDisconnected:
		s.setConnectedLocked(false)
	case zk.StateExpired:
		s.endLocked(ErrExpired)
	}
}

func (s *Session) setConnectedLocked(connected bool) {
	if s.connected == connected || s.err != nil {
		return
	}
	s.connected = connected
	if connected {
		clear(s.blamedAt)
		s.cfg.Logger.Info().Str("server", s.wire.RemoteAddr().String()).Str("session", fmt.Sprintf("%#x", s.id)).
			Dur("timeout", s.timeout).Msg("connected to ZooKeeper")
	} else {
		s.since = time.Now()
		s.cfg.Logger.Warn().Str("session", fmt.Sprintf("%#x", s.id)).Msg("disconnected from ZooKeeper")
	}
	s.announceLocked()
}

func (s *Session) end(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason)
}

func (s *Session) endLocked(reason error) {
	if s.err != nil {
		return
	}
	s.err = reason
	if s.connected {
		s.connected, s.since = false, time.Now()
	}
	s.finish()
	s.announceLocked()
}

func (s *Session) announceLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// blame notes why a try to connect ended, and logs it when that is news.
func (s *Session) blame(address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cause := bare(err)
	s.blamed = fmt.Errorf("%s: %w", address, cause)
	if s.err == nil && s.blamedAt[address] != cause.Error() {
		s.blamedAt[address] = cause.Error()
		s.cfg.Logger.Warn().Str("server", address).AnErr("err", cause).Str("hint", hintUnreachable).
			Msg("cannot connect to ZooKeeper; trying again")
	}
}

// bare is err without the addresses of the connection, of which the local one is
// another at each try.
func bare(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// reason is why connecting failed, or err when nothing is known of that.
func (s *Session) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blamed != nil {
		return s.blamed
	}
	return err
}

// usable returns nil when requests can be sent.
func (s *Session) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case !s.connected:
		return ErrDisconnected
	}
	return nil
}

// awaitConnected waits until requests can be sent; its error is ctx's or says why
// the session is over.
func (s *Session) awaitConnected(ctx context.Context) error {
	for {
		changed := s.Changed()
		if err := s.usable(); !errors.Is(err, ErrDisconnected) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrDisconnected, context.Cause(ctx))
		}
	}
}

// probe asks for a Sync every third of the timeout. A server that answers pings
// may be cut off from the ensemble, or wedged: one that leaves a Sync unanswered
// for a whole timeout is left for another.
func (s *Session) probe() {
	for {
		select {
		case <-s.Done():
			return
		case <-time.After(s.Timeout() / 3):
		}
		s.mu.Lock()
		w, connected := s.wire, s.connected
		s.mu.Unlock()
		if !connected {
			continue
		}
		ctx, cancel := context.WithTimeout(s.life, s.Timeout())
		err := s.sync(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			s.hangUp(w, errors.New("the server does not answer"))
		}
	}
}

// hangUp closes the connection w, or whatever there is when w is nil; the client
// then goes on to the next server.
func (s *Session) hangUp(w *wire, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil || w != nil && w != s.wire {
		return
	}
	if reason != nil {
		s.cfg.Logger.Warn().Err(reason).Str("server", s.wire.RemoteAddr().String()).Msg("leaving ZooKeeper server")
	}
	s.setConnectedLocked(false)
	s.wire.Close()
}

// clientLog passes the client's own log lines on, for debugging.
type clientLog struct{ zerolog.Logger }

// Printf takes one line.
func (l clientLog) Printf(format string, args ...any) {
	l.Debug().Str("client", fmt.Sprintf(format, args...)).Msg("ZooKeeper client")
}
