package zktest

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"binkeeper/internal/memnet"
)

// Options say how a server behaves. A zero field means its default.
type Options struct {
	// Tick is the unit of time: a session expires up to one tick after its timeout. Default 2 s.
	Tick time.Duration
	// MinTimeout and MaxTimeout bound the session timeouts that are granted. Default 2 and 20 ticks.
	MinTimeout, MaxTimeout time.Duration
	// Strike, when set, is asked what becomes of each request, pings included, before it is carried out. It is called
	// for one request at a time.
	Strike func(Request) Fate
}

// A Request is what Strike sees of one.
type Request struct {
	Session int64
	Op      int32  // as in the protocol: 14 is a multi, 11 a ping
	Path    string // of its first operation
	Writes  bool
}

// A Fate is what becomes of a request.
type Fate int

// The fates of requests.
const (
	// Answered is a request's usual fate.
	Answered Fate = iota
	// Lost cuts the connection before the request is carried out.
	Lost
	// Unanswered carries the request out, and cuts the connection instead of replying.
	Unanswered
	// Muted carries the request out and leaves the connection as it is, without a reply.
	Muted
)

// A Server is a ZooKeeper in memory. Its methods may be called from any goroutine.
type Server struct {
	options Options
	owned   sync.WaitGroup // one for each connection, listener and dial

	mu        sync.Mutex
	tree      *tree
	sessions  map[int64]*session
	nextID    int64
	conns     map[*conn]bool
	listeners []net.Listener
	away      bool // no quorum: no connection stands, and no session expires
	closed    bool
}

// New returns a server with an empty tree. It must be closed.
func New(o Options) *Server {
	if o.Tick == 0 {
		o.Tick = 2 * time.Second
	}
	if o.MinTimeout == 0 {
		o.MinTimeout = 2 * o.Tick
	}
	if o.MaxTimeout == 0 {
		o.MaxTimeout = 20 * o.Tick
	}
	s := &Server{options: o, tree: newTree(), sessions: map[int64]*session{}, conns: map[*conn]bool{}, nextID: 0x100000000}
	for _, path := range []string{"/zookeeper", "/zookeeper/config", "/zookeeper/quota"} {
		s.tree.apply(change{op: opCreate, path: path, perms: permAll}, 0, 0)
	}
	return s
}

// errAway is the error of a Dial to a server without a quorum.
var errAway = errors.New("connection refused")

// Dial connects to the server in memory, whatever the address. It is a coord.Config's.
func (s *Server) Dial(string, string, time.Duration) (net.Conn, error) {
	near, far := memnet.Pipe()
	if !s.take(far) {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errAway}
	}
	return near, nil
}

// Listen lets clients connect over TCP, on a free port of 127.0.0.1, until Close.
func (s *Server) Listen() (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, listener)
	s.mu.Unlock()
	s.owned.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if !s.take(c) {
				c.Close()
			}
		}
	})
	return listener.Addr().String(), nil
}

// take serves a connection, unless there is no quorum.
func (s *Server) take(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || s.closed {
		return false
	}
	c := newConn(s, nc)
	s.conns[c] = true
	s.owned.Go(c.write)
	s.owned.Go(c.read)
	return true
}

// Close ends everything that runs for the server, and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.cut()
	}
	for _, session := range s.sessions {
		session.expiry.Stop()
	}
	s.mu.Unlock()
	s.owned.Wait()
}

// Expire ends a session as if its time had passed.
func (s *Server) Expire(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.sessions[id]; session != nil {
		s.end(session)
	}
}

// Cut ends every connection. Sessions go on.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
	}
}

// LoseQuorum ends every connection and refuses others, until Recover. No session expires meanwhile.
func (s *Server) LoseQuorum() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
	for c := range s.conns {
		c.cut()
	}
	for _, session := range s.sessions {
		session.expiry.Stop()
	}
}

// Recover ends what LoseQuorum has begun. Every session has its whole timeout from now on.
func (s *Server) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = false
	for _, session := range s.sessions {
		s.touch(session)
	}
}

// A Snapshot is what a server held at one moment.
type Snapshot struct {
	tree     *tree
	sessions map[int64]session
}

// Snapshot returns what the server holds now, for Restore.
func (s *Server) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := Snapshot{tree: s.tree.copy(), sessions: map[int64]session{}}
	for id, session := range s.sessions {
		kept.sessions[id] = *session
	}
	return kept
}

// Restore takes everything back to a snapshot, as an ensemble that is made anew from a backup. Clients that have seen
// more than it holds are refused for ever, as servers do.
func (s *Server) Restore(kept Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
	}
	for _, session := range s.sessions {
		session.expiry.Stop()
	}
	s.tree = kept.tree.copy()
	s.sessions = map[int64]*session{}
	for id, old := range kept.sessions {
		session := &session{id: id, password: old.password, timeout: old.timeout}
		s.sessions[id] = session
		s.touch(session)
	}
}

// A session is one of a server's.
type session struct {
	id       int64
	password [16]byte
	timeout  time.Duration
	expiry   *time.Timer
	conn     *conn // nil: none stands
}

// open begins a session.
func (s *Server) open(asked time.Duration) *session {
	s.nextID++
	session := &session{id: s.nextID, timeout: min(max(asked, s.options.MinTimeout), s.options.MaxTimeout)}
	binary.BigEndian.PutUint64(session.password[:], uint64(session.id)*0x9e3779b97f4a7c15)
	s.sessions[session.id] = session
	s.tree.zxid++
	s.touch(session)
	return session
}

// touch gives a session its whole timeout from now on. Servers look once in a tick, so that it ends with one.
func (s *Server) touch(session *session) {
	if session.expiry != nil {
		session.expiry.Stop()
	}
	until := (session.timeout/s.options.Tick + 1) * s.options.Tick
	session.expiry = time.AfterFunc(until, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sessions[session.id] == session && !s.away && !s.closed {
			s.end(session)
		}
	})
}

// end ends a session and takes its ephemerals away.
func (s *Server) end(session *session) {
	session.expiry.Stop()
	delete(s.sessions, session.id)
	s.tree.zxid++
	for _, path := range s.tree.ephemerals(session.id) {
		s.tell(s.tree.apply(change{op: opDelete, path: path, version: -1}, session.id, s.tree.zxid).events)
	}
	if session.conn != nil {
		session.conn.cut()
	}
}

// tell sends events to those who watch.
func (s *Server) tell(events []event) {
	for _, e := range events {
		for c := range s.conns {
			c.notify(e)
		}
	}
}
