package faults

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is a kind of fault that a Proxy does.
type Kind int

// The kinds of a Proxy's faults.
const (
	Cut         Kind = iota // by Proxy.Cut: a connection closed or turned away
	Kill                    // by Proxy.Kill: a connection closed
	Freeze                  // by Proxy.Freeze, or Hold of a script: a connection or packet held back
	Delay                   // by Proxy.Delay: a packet that came late
	DropReplies             // by Proxy.DropReplies: a packet thrown away
	Scripted                // by Proxy.Script: a packet that did not simply pass
	kinds
)

// A Proxy passes TCP connections on to a server, and strikes them when told to. Several faults may be on at a time; of
// Cut and Freeze the later one counts. Its methods may be called from any goroutine.
type Proxy struct {
	listener net.Listener
	framing  Framing
	carried  sync.WaitGroup
	strikes  [kinds]atomic.Int64
	life     context.Context // ends with Close
	end      context.CancelFunc

	mu       sync.Mutex
	changed  *sync.Cond // of all below, and of every link's queues
	target   string
	mode     mode
	closed   bool
	delay    time.Duration
	mute     bool   // replies are thrown away
	script   Script // nil without one
	links    map[*link]bool
	accepted int // links that there ever were
}

type mode int

const (
	serving mode = iota
	cutOff
	frozen
)

// NewProxy starts a proxy on a free port of 127.0.0.1 in front of target, as "host:port". Scripts see packets as the
// framing takes them apart. Close it.
func NewProxy(target string, framing Framing) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a proxy for %s: %w", target, err)
	}
	p := &Proxy{listener: listener, framing: framing, target: target, links: map[*link]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.life, p.end = context.WithCancel(context.Background())
	p.carried.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens, as "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Retarget puts another server behind the same address. Open connections stay where they are: Kill moves them.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut closes every connection, and each new one at once, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(cutOff)
	p.breakAll(Cut)
}

// Kill closes every connection; new ones are served.
func (p *Proxy) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakAll(Kill)
}

// Freeze lets connections stand, accepts new ones, and holds back every byte until Heal, which delivers them late.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(frozen)
}

// Delay makes every packet arrive late by d until Heal, or until Delay(0). Those that follow each other closely still do.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
	p.changed.Broadcast()
}

// DropReplies lets requests pass, and throws replies away, until Heal, which closes the connections that have lost any.
func (p *Proxy) DropReplies() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// Script lets script judge every packet until Heal, or until the next script; nil passes all.
func (p *Proxy) Script(script Script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

// Heal ends every fault. What was held back is delivered.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(serving)
	p.delay, p.mute, p.script = 0, false, nil
	for l := range p.links {
		if l.robbed {
			l.close()
		}
	}
}

// Struck is how often faults of the kinds, or of any kind, have met a connection or a packet since the proxy was made.
func (p *Proxy) Struck(of ...Kind) (n int64) {
	for kind := range kinds {
		if len(of) == 0 || slices.Contains(of, kind) {
			n += p.strikes[kind].Load()
		}
	}
	return n
}

// Links is how many connections are open.
func (p *Proxy) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close closes the proxy and every connection, and returns when none of its goroutines is left.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.turn(serving)
	for l := range p.links {
		l.close()
	}
	p.mu.Unlock()
	p.end()
	p.listener.Close()
	p.carried.Wait()
}

// turn changes the mode; the caller holds the lock, as of all below.
func (p *Proxy) turn(to mode) {
	p.mode = to
	p.changed.Broadcast()
}

func (p *Proxy) breakAll(by Kind) {
	for l := range p.links {
		p.strikes[by].Add(1)
		l.close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		if l := p.admit(client); l != nil {
			p.carried.Go(l.serve)
		}
		p.mu.Unlock()
	}
}

// admit makes a link of a new connection; nil when that is turned away.
func (p *Proxy) admit(client net.Conn) *link {
	if p.closed || p.mode == cutOff {
		p.strikes[Cut].Add(1)
		client.Close()
		return nil
	}
	p.accepted++
	l := &link{proxy: p, number: p.accepted, client: client, session: p.framing.session()}
	p.links[l] = true
	return l
}
