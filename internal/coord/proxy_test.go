//go:build integration

package coord

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// What a rule does with a packet.
type verb int

const (
	pass verb = iota
	drop      // this packet alone
	cut       // drop it, and close every connection
)

// The requests that tests tell apart: ZooKeeper's opcodes.
const (
	opChildren = 12
	opMulti    = 14
	opWatch    = -1 // not a request: a watch that fires, or the answer to a ping
	opOpen     = -2 // not a request: the first packet of a connection
)

// A packet is one that the proxy passes on; body may be changed in place.
type packet struct {
	reply bool
	op    int32 // of the request, or of the request that it replies to
	body  []byte
}

// A proxy stands between sessions and one ZooKeeper server. It reads the packets,
// so that it can lose just a reply, and counts what its faults have struck.
type proxy struct {
	tb       testing.TB
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu      sync.Mutex
	thawed  *sync.Cond
	frozen  bool
	refused bool
	closed  bool
	rule    func(packet) verb
	conns   map[net.Conn]bool
	struck  atomic.Int64
}

// newProxy starts a proxy that ends with the test.
func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{tb: tb, listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.thawed = sync.NewCond(&p.mu)
	p.done.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	p.mu.Lock()
	p.closed, p.frozen = true, false
	p.thawed.Broadcast()
	p.mu.Unlock()
	p.listener.Close()
	p.cutAll()
	p.done.Wait()
}

// freeze holds all packets, of new connections too, until thaw.
func (p *proxy) freeze() { p.setFrozen(true) }
func (p *proxy) thaw()   { p.setFrozen(false) }

func (p *proxy) setFrozen(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	p.thawed.Broadcast()
}

// refuse closes every connection, and new ones at once, until allow.
func (p *proxy) refuse() {
	p.mu.Lock()
	p.refused = true
	p.mu.Unlock()
	p.cutAll()
}

func (p *proxy) allow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = false
}

// set makes rule judge every packet from now on; nil passes all.
func (p *proxy) set(rule func(packet) verb) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
	p.struck.Store(0)
}

// once is a rule that does what to the first packet that matches.
func once(what verb, matches func(packet) bool) func(packet) verb {
	var spent atomic.Bool
	return func(f packet) verb {
		if matches(f) && spent.CompareAndSwap(false, true) {
			return what
		}
		return pass
	}
}

// silentFrom is a rule that loses every reply but those to pings, from the
// packet that matches to the end of the connection.
func silentFrom(matches func(packet) bool) func(packet) verb {
	silent, spent := false, false
	return func(f packet) verb { // one at a time: judge holds a lock
		if !spent && matches(f) {
			silent, spent = true, true
		}
		if f.op == opOpen {
			silent = false
		}
		if silent && f.reply && !isPing(f) {
			return drop
		}
		return pass
	}
}

// isPing matches the reply to a ping, whose xid is -2.
func isPing(f packet) bool {
	return f.op != opOpen && int32(binary.BigEndian.Uint32(f.body)) == -2
}

// replyTo matches the reply to a request.
func replyTo(op int32) func(packet) bool {
	return func(f packet) bool { return f.reply && f.op == op }
}

// requestOf matches a request.
func requestOf(op int32) func(packet) bool {
	return func(f packet) bool { return !f.reply && f.op == op }
}

// mustHaveStruck fails the test when no packet met a fault.
func (p *proxy) mustHaveStruck() {
	p.tb.Helper()
	if p.struck.Load() == 0 {
		p.tb.Error("the fault has not struck")
	}
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		refused := p.refused || p.closed
		if !refused {
			p.conns[client], p.conns[server] = true, true
		}
		p.mu.Unlock()
		if refused {
			client.Close()
			server.Close()
			continue
		}
		ops := &sync.Map{} // of the requests by their xid
		p.done.Go(func() { p.carry(server, client, false, ops) })
		p.done.Go(func() { p.carry(client, server, true, ops) })
	}
}

// carry passes one direction on until either end closes.
func (p *proxy) carry(to, from net.Conn, reply bool, ops *sync.Map) {
	defer to.Close()
	defer from.Close()
	for first := true; ; first = false {
		f, err := readPacket(from, reply, first, ops)
		if err != nil {
			return
		}
		switch p.judge(f) {
		case drop:
			continue
		case cut:
			p.cutAll()
			return
		}
		whole := binary.BigEndian.AppendUint32(nil, uint32(len(f.body)))
		if _, err := to.Write(append(whole, f.body...)); err != nil {
			return
		}
	}
}

func (p *proxy) judge(f packet) verb {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen {
		p.struck.Add(1)
	}
	for p.frozen {
		p.thawed.Wait()
	}
	if p.rule == nil {
		return pass
	}
	v := p.rule(f)
	if v != pass {
		p.struck.Add(1)
	}
	return v
}

func readPacket(from net.Conn, reply, first bool, ops *sync.Map) (packet, error) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(from, size); err != nil {
		return packet{}, err
	}
	f := packet{reply: reply, op: opOpen, body: make([]byte, binary.BigEndian.Uint32(size))}
	if _, err := io.ReadFull(from, f.body); err != nil {
		return packet{}, err
	}
	if first {
		return f, nil
	}
	xid := int32(binary.BigEndian.Uint32(f.body))
	if !reply {
		f.op = int32(binary.BigEndian.Uint32(f.body[4:]))
		ops.Store(xid, f.op)
	} else if op, ok := ops.Load(xid); ok {
		f.op = op.(int32)
	} else {
		f.op = opWatch
	}
	return f, nil
}
