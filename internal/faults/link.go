package faults

import (
	"net"
	"time"
)

// maxQueued bounds, in bytes, what a link holds back in one direction; a larger packet is held alone. What comes
// behind it waits in the sender.
const maxQueued = 4 << 20

// dialTimeout bounds how long a server may take to accept.
const dialTimeout = 5 * time.Second

// A link is one connection of a client, and the one to the server that it is carried over.
type link struct {
	proxy   *Proxy
	number  int
	client  net.Conn
	session session

	// What follows is guarded by the proxy's lock.
	server net.Conn // nil before it is dialled
	closed bool
	robbed bool // replies were thrown away: what comes now makes no sense
}

// A queue holds what was read in one direction and not written yet, guarded by the proxy's lock.
type queue struct {
	packets []Packet
	size    int  // in bytes
	ended   bool // nothing comes any more
}

// serve carries the connection until either end closes it.
func (l *link) serve() {
	p := l.proxy
	if server := l.dial(); server != nil {
		for _, d := range []Direction{Requests, Replies} {
			from, to := l.client, server
			if d == Replies {
				from, to = server, l.client
			}
			q := &queue{}
			p.carried.Go(func() { l.read(q, d, from) })
			p.carried.Go(func() { l.write(q, to) })
		}
	}
}

// dial connects to the target, once the proxy is not frozen; nil when that failed and the link is closed.
func (l *link) dial() net.Conn {
	p := l.proxy
	p.mu.Lock()
	p.thaw(l)
	target := p.target
	p.mu.Unlock()
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(p.life, "tcp", target)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		l.close()
		return nil
	}
	if l.closed {
		server.Close()
		return nil
	}
	l.server = server
	return server
}

// close closes both ends; the caller holds the lock.
func (l *link) close() {
	if l.closed {
		return
	}
	l.closed = true
	l.client.Close()
	if l.server != nil {
		l.server.Close()
	}
	delete(l.proxy.links, l)
	l.proxy.changed.Broadcast()
}

// read fills the queue of one direction.
func (l *link) read(q *queue, d Direction, from net.Conn) {
	p := l.proxy
	in := l.session.reader(d, from)
	for nth := 1; ; nth++ {
		f, err := in.read()
		f.Link, f.Nth, f.Direction, f.at = l.number, nth, d, time.Now()
		p.mu.Lock()
		for q.size > 0 && q.size+len(f.Body) > maxQueued && !l.closed {
			p.changed.Wait()
		}
		if err != nil || l.closed {
			q.ended = true
		} else {
			q.packets, q.size = append(q.packets, f), q.size+len(f.Body)
		}
		p.changed.Broadcast()
		ended := q.ended
		p.mu.Unlock()
		if ended {
			return
		}
	}
}

// write empties the queue of one direction, as the faults that are on allow.
func (l *link) write(q *queue, to net.Conn) {
	p := l.proxy
	for {
		p.mu.Lock()
		for len(q.packets) == 0 && !q.ended && !l.closed {
			p.changed.Wait()
		}
		if len(q.packets) == 0 || l.closed {
			p.thaw(l) // an end is held back like every byte
			l.close()
			p.mu.Unlock()
			return
		}
		f := q.packets[0]
		q.packets = q.packets[1:]
		p.await(l, f)
		passed := p.judge(l, f)
		q.size -= len(f.Body)
		p.changed.Broadcast()
		p.mu.Unlock()
		if !passed {
			continue
		}
		if _, err := to.Write(append(f.header, f.Body...)); err != nil {
			p.mu.Lock()
			l.close()
			p.mu.Unlock()
		}
	}
}

// await waits until a packet is as late as the proxy's delay wants it; the caller holds the lock, as of all below.
func (p *Proxy) await(l *link, f Packet) {
	late := false
	for {
		left := time.Until(f.at.Add(p.delay))
		if left <= 0 || p.delay == 0 || l.closed {
			return
		}
		if !late {
			p.strikes[Delay].Add(1)
			late = true
		}
		timer := time.AfterFunc(left, p.changed.Broadcast)
		p.changed.Wait()
		timer.Stop()
	}
}

// judge lets the faults that are on strike a packet, and reports whether it is passed on.
func (p *Proxy) judge(l *link, f Packet) (pass bool) {
	p.thaw(l)
	action := Pass
	if p.script != nil {
		action = p.script(f)
	}
	if action != Pass {
		p.strikes[Scripted].Add(1)
	}
	switch action {
	case Break:
		l.close()
	case Hold:
		p.turn(frozen)
		p.thaw(l)
	}
	if action != Drop && p.mute && f.Direction == Replies {
		p.strikes[DropReplies].Add(1)
		l.robbed = true
		return false
	}
	return action != Drop && !l.closed
}

// thaw waits until the proxy is not frozen, or the link is closed.
func (p *Proxy) thaw(l *link) {
	if p.mode == frozen && !l.closed {
		p.strikes[Freeze].Add(1)
	}
	for p.mode == frozen && !l.closed {
		p.changed.Wait()
	}
}
