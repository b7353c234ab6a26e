package zktest

import (
	"net"
	"slices"
	"sync"
	"time"
)

// A conn is one client's connection. What is sent waits in a queue, so that the server never waits for a client.
type conn struct {
	server  *Server
	net     net.Conn
	gone    func() // closes the connection, once
	session *session
	// data and child are the watches, by path. Watches of a node that does not exist are among data's.
	data, child map[string]bool

	mu     sync.Mutex
	queue  [][]byte
	closed bool
	more   chan struct{} // the queue is not empty, or closed
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{
		server: s, net: nc, gone: sync.OnceFunc(func() { nc.Close() }),
		data: map[string]bool{}, child: map[string]bool{}, more: make(chan struct{}, 1),
	}
}

// send queues a packet.
func (c *conn) send(packet []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.queue = append(c.queue, packet)
		c.wake()
	}
}

// finish ends the connection once what is queued has been sent.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.wake()
}

// cut ends the connection at once.
func (c *conn) cut() {
	c.mu.Lock()
	c.queue = nil
	c.mu.Unlock()
	c.finish()
	c.gone()
}

func (c *conn) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// write sends what is queued until the connection ends.
func (c *conn) write() {
	defer c.gone()
	for range c.more {
		c.mu.Lock()
		packets, closed := c.queue, c.closed
		c.queue = nil
		c.mu.Unlock()
		for _, p := range packets {
			if _, err := c.net.Write(p); err != nil {
				closed = true
				break
			}
		}
		if closed {
			return
		}
	}
}

// read carries out what the client asks for until the connection ends.
func (c *conn) read() {
	defer c.left()
	defer c.finish()
	packet, err := readPacket(c.net)
	if err != nil || !c.welcome(packet) {
		return
	}
	// The client reads the newest zxid without a lock as it begins with a connection, and a
	// reply writes it. In a bubble it has begun once any time has passed.
	time.Sleep(time.Millisecond)
	for {
		packet, err := readPacket(c.net)
		if err != nil || !c.request(packet) {
			return
		}
	}
}

// left forgets the connection.
func (c *conn) left() {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.session != nil && c.session.conn == c {
		c.session.conn = nil
	}
}

// welcome answers the first packet: a new session, an old one, or none.
func (c *conn) welcome(packet []byte) bool {
	d := &decoder{rest: packet}
	d.int32() // protocol version
	seen, asked, id, password := d.int64(), time.Duration(d.int32())*time.Millisecond, d.int64(), d.buffer()
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.bad || seen > s.tree.zxid {
		return false // the client has seen what this ensemble does not know
	}
	session := s.sessions[id]
	switch {
	case id == 0:
		session = s.open(asked)
	case session != nil && !slices.Equal(session.password[:], password):
		session = nil
	}
	e := &encoder{}
	e.int32(0)
	if session == nil {
		e.int32(0)
		e.int64(0)
		e.buffer(make([]byte, 16))
		e.bool(false)
		c.send(e.packed())
		c.finish()
		return false
	}
	if session.conn != nil {
		session.conn.cut() // the session has moved
	}
	c.session, session.conn = session, c
	s.touch(session)
	e.int32(int32(session.timeout.Milliseconds()))
	e.int64(session.id)
	e.buffer(session.password[:])
	e.bool(false)
	c.send(e.packed())
	return true
}

// notify tells the client of an event if it watches for it. A watch is told once.
func (c *conn) notify(e event) {
	var watched bool
	switch e.kind {
	case nodeCreated, dataChanged:
		watched = c.data[e.path]
		delete(c.data, e.path)
	case childrenChanged:
		watched = c.child[e.path]
		delete(c.child, e.path)
	case nodeDeleted:
		watched = c.data[e.path] || c.child[e.path]
		delete(c.data, e.path)
		delete(c.child, e.path)
	}
	if watched {
		c.event(e)
	}
}

func (c *conn) event(e event) {
	const connected = 3
	packet := reply(xidEvent, -1, OK)
	packet.int32(e.kind)
	packet.int32(connected)
	packet.string(e.path)
	c.send(packet.packed())
}
