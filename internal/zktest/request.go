package zktest

import (
	"maps"
	"slices"
)

// request carries out one request and answers it. It is false when the connection is over.
func (c *conn) request(packet []byte) bool {
	d := &decoder{rest: packet}
	xid, op := d.int32(), d.int32()
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.bad || s.away || s.closed || c.session.conn != c {
		return false
	}
	if s.sessions[c.session.id] != c.session {
		c.send(reply(xid, s.tree.zxid, SessionExpired).packed())
		c.finish()
		return false
	}
	s.touch(c.session)
	fate := Answered
	if s.options.Strike != nil {
		fate = s.options.Strike(c.describe(op, d.rest))
	}
	if fate == Lost {
		return false
	}
	answer := c.carryOut(xid, op, d)
	switch {
	case d.bad || fate == Unanswered:
		return false
	case fate == Muted:
		return true
	}
	c.send(answer.packed())
	if op == opClose {
		c.finish()
		return false
	}
	return true
}

// describe is what Strike sees of a request.
func (c *conn) describe(op int32, body []byte) Request {
	d := &decoder{rest: body}
	r := Request{Session: c.session.id, Op: op}
	switch op {
	case opCreate, opDelete, opSetData, opMulti, opSetACL:
		r.Writes = true
	}
	switch op {
	case opPing, opClose, opSetWatches:
	case opMulti:
		d.take(4 + 1 + 4)
		r.Path = d.string()
	default:
		r.Path = d.string()
	}
	return r
}

func (c *conn) carryOut(xid, op int32, d *decoder) *encoder {
	s := c.server
	switch op {
	case opPing:
		return reply(xidPing, s.tree.zxid, OK)
	case opClose:
		c.session.conn = nil // it has the reply still to send
		s.end(c.session)
		return reply(xid, s.tree.zxid, OK)
	case opCreate, opDelete, opSetData, opSetACL:
		return c.single(xid, op, d)
	case opMulti:
		return c.multi(xid, d)
	case opSync:
		answer := reply(xid, s.tree.zxid, OK)
		answer.string(d.string())
		return answer
	case opExists, opGetData, opGetACL, opGetChildren, opGetChildren2:
		return c.look(xid, op, d)
	case opSetWatches:
		c.setWatches(d)
		return reply(xid, s.tree.zxid, OK)
	}
	return reply(xid, s.tree.zxid, Unimplemented)
}

func readChange(op int32, d *decoder) change {
	ch := change{op: op, path: d.string(), perms: permAll}
	switch op {
	case opCreate:
		ch.data, ch.perms, ch.flags = d.buffer(), d.acls(), d.int32()
	case opSetData:
		ch.data, ch.version = d.buffer(), d.int32()
	case opSetACL:
		ch.perms, ch.version = d.acls(), d.int32()
	default:
		ch.version = d.int32()
	}
	return ch
}

func (c *conn) single(xid, op int32, d *decoder) *encoder {
	s := c.server
	ch := readChange(op, d)
	if d.bad {
		return nil
	}
	s.tree.zxid++
	out := s.tree.apply(ch, c.session.id, s.tree.zxid)
	s.tell(out.events)
	answer := reply(xid, s.tree.zxid, out.code)
	switch {
	case out.code != OK:
	case op == opCreate:
		answer.string(out.path)
	case op == opSetData || op == opSetACL:
		answer.stat(out.stat)
	}
	return answer
}

func (c *conn) multi(xid int32, d *decoder) *encoder {
	s := c.server
	var changes []change
	for !d.bad {
		op, done := d.int32(), d.bool()
		d.int32()
		if done {
			break
		}
		changes = append(changes, readChange(op, d))
	}
	if d.bad {
		return nil
	}
	s.tree.zxid++
	outcomes, done := s.tree.multi(changes, c.session.id, s.tree.zxid)
	answer := reply(xid, s.tree.zxid, OK)
	for _, out := range outcomes {
		if done {
			s.tell(out.events)
		}
		answer.int32(out.op)
		answer.bool(false)
		answer.int32(int32(out.code))
		switch out.op {
		case opError:
			answer.int32(int32(out.code))
		case opCreate:
			answer.string(out.path)
		case opSetData:
			answer.stat(out.stat)
		}
	}
	answer.int32(-1)
	answer.bool(true)
	answer.int32(-1)
	return answer
}

// look answers what changes nothing.
func (c *conn) look(xid, op int32, d *decoder) *encoder {
	s := c.server
	path := d.string()
	watch := op != opGetACL && d.bool()
	n := s.tree.nodes[path]
	switch {
	case !validPath(path, false):
		return reply(xid, s.tree.zxid, BadArguments)
	case n == nil:
		if op == opExists && watch {
			c.data[path] = true
		}
		return reply(xid, s.tree.zxid, NoNode)
	case op != opExists && op != opGetACL && n.perms&permRead == 0:
		return reply(xid, s.tree.zxid, NoAuth)
	}
	answer := reply(xid, s.tree.zxid, OK)
	watches := c.data
	switch op {
	case opGetData:
		answer.buffer(n.data)
	case opGetACL:
		answer.int32(1)
		answer.int32(n.perms)
		answer.string("world")
		answer.string("anyone")
	case opGetChildren, opGetChildren2:
		answer.strings(slices.Sorted(maps.Keys(n.children)))
		watches = c.child
	}
	if op != opGetChildren {
		answer.stat(n.show())
	}
	if watch {
		watches[path] = true
	}
	return answer
}

// setWatches sets a client's watches again after a reconnect. What has changed since it saw the zxid it names is told at
// once.
func (c *conn) setWatches(d *decoder) {
	seen, data, exist, child := d.int64(), d.strings(), d.strings(), d.strings()
	nodes := c.server.tree.nodes
	for _, path := range data {
		switch n := nodes[path]; {
		case n == nil:
			c.event(event{nodeDeleted, path})
		case n.stat.mzxid > seen:
			c.event(event{dataChanged, path})
		default:
			c.data[path] = true
		}
	}
	for _, path := range exist {
		if nodes[path] != nil {
			c.event(event{nodeCreated, path})
		} else {
			c.data[path] = true
		}
	}
	for _, path := range child {
		switch n := nodes[path]; {
		case n == nil:
			c.event(event{nodeDeleted, path})
		case n.stat.pzxid > seen:
			c.event(event{childrenChanged, path})
		default:
			c.child[path] = true
		}
	}
}
