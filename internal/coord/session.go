package coord

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"binkeeper/zkpaths"
)

const (
	// DefaultTimeout is the session timeout that is asked for.
	DefaultTimeout = 10 * time.Second
	// maxPacket bounds, in bytes, what is read as one reply: a list of 100,000
	// tasks has 6.8 MB at most.
	maxPacket = 8 << 20
	// maxRequest bounds, in bytes, what is sent as one request: a payload, or
	// the client's list of 128 KiB of watches after a reconnect.
	maxRequest = 512 << 10
	// relistEvery is how often a follower looks without being woken.
	relistEvery = 20 * time.Second
)

// Config says which ensemble to open a session with.
type Config struct {
	Servers []string      // host:port each
	Root    string        // stands in front of every path; "" or /a/b
	Timeout time.Duration // of the session, asked for; default DefaultTimeout
	Logger  zerolog.Logger
	// Dial opens a connection; nil means net.DialTimeout.
	Dial func(network, address string, timeout time.Duration) (net.Conn, error)
}

// A Session is one ZooKeeper session. It is over when it expires, when a server
// answers with another session's id, or when it is closed; it never becomes
// another session. Its methods may be called from any goroutine.
type Session struct {
	cfg    Config
	conn   *zk.Conn
	events <-chan zk.Event // closed once the client's own goroutines have ended
	relist time.Duration
	life   context.Context // ends when the session is over
	finish context.CancelFunc
	close  sync.Once
	owned  sync.WaitGroup // followers, the probe, requests

	watcher  atomic.Pointer[Watcher] // nil without one
	watching atomic.Bool             // a watch was asked for, ever

	mu        sync.Mutex
	id        int64         // 0 before the first welcome
	timeout   time.Duration // negotiated
	connected bool
	since     time.Time     // of the disconnection
	changed   chan struct{} // closed at the next change of connected or err
	err       error         // why it is over
	wire      *wire         // the newest connection
	blamed    error         // why the last try to connect ended

	blamedAt map[string]string // by address: why no connection has come about since the last one
}

// Open opens a session. It tries until one stands or ctx ends, then its error is
// an *UnreachableError. It makes the root, /tasks and /workers when they are
// missing. Closing what never stood may take a second longer than ctx.
func Open(ctx context.Context, cfg Config) (*Session, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Dial == nil {
		cfg.Dial = net.DialTimeout
	}
	for {
		s, err := start(cfg)
		if err != nil {
			return nil, fmt.Errorf("open ZooKeeper session with %s: %w", strings.Join(cfg.Servers, ","), err)
		}
		err = s.prepare(ctx)
		if err == nil {
			return s, nil
		}
		s.Close()
		if ctx.Err() != nil {
			return nil, &UnreachableError{cfg.Servers, s.reason(err)}
		}
		if !isOver(err) {
			return nil, fmt.Errorf("open ZooKeeper session with %s: %w", strings.Join(cfg.Servers, ","), err)
		}
	}
}

func start(cfg Config) (*Session, error) {
	s := &Session{cfg: cfg, relist: relistEvery, timeout: cfg.Timeout, since: time.Now(), changed: make(chan struct{}), blamedAt: map[string]string{}}
	s.life, s.finish = context.WithCancel(context.Background())
	conn, events, err := zk.Connect(cfg.Servers, cfg.Timeout,
		zk.WithDialer(s.dial),
		zk.WithHostProvider(&hosts{life: s.life}),
		zk.WithEventCallback(s.notice),
		zk.WithLogger(clientLog{cfg.Logger}),
		zk.WithLogInfo(false),
		zk.WithMaxBufferSize(maxPacket),
		zk.WithMaxConnBufferSize(maxRequest))
	if err != nil {
		s.finish()
		return nil, err
	}
	s.conn, s.events = conn, events
	s.own(s.probe)
	return s, nil
}

// prepare waits for the session and makes the nodes that all others stand below.
// The Sync in front keeps a new session from reading the past.
func (s *Session) prepare(ctx context.Context) error {
	return s.certain(ctx, func() error {
		for _, path := range append(ancestors(s.cfg.Root), s.cfg.Root+zkpaths.Tasks, s.cfg.Root+zkpaths.Workers) {
			if err := s.ensure(ctx, path); err != nil {
				return err
			}
		}
		return nil
	})
}

// ancestors gives /a, /a/b for /a/b.
func ancestors(root string) []string {
	var paths []string
	for i := 1; i < len(root); i++ {
		if root[i] == '/' {
			paths = append(paths, root[:i])
		}
	}
	if root != "" {
		paths = append(paths, root)
	}
	return paths
}

// ID is the session's id, as znodes show it as their ephemeral owner.
func (s *Session) ID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Timeout is the session's timeout, as negotiated.
func (s *Session) Timeout() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timeout
}

// Done is closed when the session is over. Close it all the same.
func (s *Session) Done() <-chan struct{} { return s.life.Done() }

// Err says why the session is over: ErrExpired, ErrSessionChanged or ErrClosed;
// nil while it is not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Disconnected is how long the session has been without a server; 0 while it
// has one.
func (s *Session) Disconnected() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected {
		return 0
	}
	return max(time.Since(s.since), 1)
}

// Changed returns a channel that is closed at the next connect, disconnect or
// end of the session. Take it before looking at what it announces.
func (s *Session) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Close ends the session and waits for everything it owns. While connected,
// its ephemeral nodes vanish at once; else when the ensemble expires it. It
// takes two seconds at most.
func (s *Session) Close() {
	s.close.Do(func() {
		silent := s.Disconnected() > 0
		s.end(ErrClosed)
		if silent {
			s.hangUp(nil, nil)
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.conn.Close()
		}()
		select {
		case <-closed:
		case <-time.After(time.Second):
		}
		s.hangUp(nil, nil)
		for range s.events {
		}
		<-closed
		s.owned.Wait()
	})
}

// own runs f on a goroutine that Close waits for; not once the session is over.
func (s *Session) own(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.owned.Go(f)
	return nil
}
