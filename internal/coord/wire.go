package coord

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A server's answer to the client's first packet: protocol version (4
	// bytes), timeout in milliseconds (4), session id (8), a password of 16 with
	// its length (20), and since 3.4 whether it is read-only (1).
	minWelcome = 36
	maxWelcome = 64
	// minPatience is how long a server may take to answer, however short the
	// session's timeout: the ensemble has to agree on a session first.
	minPatience = time.Second
	// watchesPatience bounds how long replies wait for the client to ask for its watches again. It does so at once,
	// unless all of them have fired.
	watchesPatience = 500 * time.Millisecond
	// setWatches is the opcode of the request for watches after a reconnect.
	setWatches = 101
	// lookupTimeout bounds one round of host name lookups.
	lookupTimeout = 3 * time.Second
)

// errNotZooKeeper says that a port speaks another protocol.
var errNotZooKeeper = errors.New("the answer is not ZooKeeper's")

// A wire is one connection to a server. It reads the server's welcome itself,
// within a bound, and shows it to the session before the client sees it: the
// client would wait for it 6.67 timeouts long, and adopt any session.
//
// After a reconnect it holds the first replies back until the client has asked
// for its watches again. The client asks for the changes since the newest reply
// that it has seen; were that one of this connection, as to a request that was
// waiting, the changes in between would never be announced.
type wire struct {
	net.Conn
	session *Session
	rest    []byte // of the welcome, for the client to read
	opened  atomic.Bool
	held    bool          // whether replies are still to wait; the reader's
	asked   chan struct{} // closed once the watches are asked for
	gone    chan struct{} // closed with the connection
	ask     func()        // closes asked
	end     func()        // closes gone
}

func newWire(conn net.Conn, s *Session, held bool) *wire {
	w := &wire{Conn: conn, session: s, held: held, asked: make(chan struct{}), gone: make(chan struct{})}
	w.ask, w.end = sync.OnceFunc(func() { close(w.asked) }), sync.OnceFunc(func() { close(w.gone) })
	return w
}

func (w *wire) Read(p []byte) (int, error) {
	if !w.opened.Load() {
		if err := w.open(); err != nil {
			w.session.blame(w.RemoteAddr().String(), err)
			return 0, err
		}
	}
	if len(w.rest) > 0 {
		n := copy(p, w.rest)
		w.rest = w.rest[n:]
		return n, nil
	}
	if w.held {
		w.held = false
		select {
		case <-w.asked:
		case <-w.gone:
		case <-time.After(watchesPatience):
		}
	}
	return w.Conn.Read(p)
}

// Write looks for the request for watches: a length of 4 bytes, the request's
// number of 4, and the opcode.
//
// A write that fails closes the connection, of which the reader tells the client. The
// client is not told here: it would answer the request once for the write and once for
// the connection, and, where it is being closed meanwhile, a third time, for which there
// is no room. Then it waits for ever, and so does Close.
func (w *wire) Write(p []byte) (int, error) {
	if _, err := w.Conn.Write(p); err != nil {
		_ = w.Close() // which fails where it is closed already
	}
	if w.opened.Load() && len(p) >= 12 && binary.BigEndian.Uint32(p[8:]) == setWatches {
		w.ask()
	}
	return len(p), nil
}

// Close closes the connection.
func (w *wire) Close() error {
	w.end()
	return w.Conn.Close()
}

func (w *wire) open() error {
	patience := max(w.session.Timeout()/3, minPatience)
	if err := w.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("set the welcome's deadline: %w", err)
	}
	welcome, id, timeout, err := readWelcome(w.Conn)
	if err != nil {
		return err
	}
	if err := w.session.welcome(id, timeout); err != nil {
		return err
	}
	w.rest = welcome
	w.opened.Store(true)
	return nil
}

// readWelcome reads a server's first packet: all of it, and the session's id (0
// when it has expired) and negotiated timeout in it.
func readWelcome(r io.Reader) (packet []byte, id int64, timeout time.Duration, err error) {
	packet = make([]byte, 4)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, 0, 0, fmt.Errorf("read welcome: %w", err)
	}
	size := binary.BigEndian.Uint32(packet)
	if size < minWelcome || size > maxWelcome {
		return nil, 0, 0, errNotZooKeeper
	}
	packet = append(packet, make([]byte, size)...)
	if _, err := io.ReadFull(r, packet[4:]); err != nil {
		return nil, 0, 0, fmt.Errorf("read welcome: %w", err)
	}
	timeout = time.Duration(binary.BigEndian.Uint32(packet[8:])) * time.Millisecond
	id = int64(binary.BigEndian.Uint64(packet[12:]))
	if binary.BigEndian.Uint32(packet[20:]) != 16 || id != 0 && timeout <= 0 {
		return nil, 0, 0, errNotZooKeeper
	}
	return packet, id, timeout, nil
}

// hosts gives the client its servers, in a new order each round. Names are
// resolved anew each round: the servers may have moved.
type hosts struct {
	life  context.Context // of the session
	mu    sync.Mutex
	names []string // host:port
	round []string // addresses still to try
	idle  bool     // a round has begun, and no connection came since
}

// Init takes the servers of the connect string.
func (h *hosts) Init(servers []string) error {
	h.names = servers
	return nil
}

// Len is how many servers the connect string has.
func (h *hosts) Len() int { return len(h.names) }

// Next gives the next address; again says that all were tried in vain.
func (h *hosts) Next() (address string, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.round) == 0 {
		again, h.idle = h.idle, true
		h.round = resolve(h.life, h.names)
	}
	address, h.round = h.round[0], h.round[1:]
	return address, again
}

// Connected notes that the last address was a good one.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle = false
}

// resolve gives every address of every name, in random order. A name that
// cannot be resolved stays as it is: dialling it tells why.
func resolve(ctx context.Context, names []string) []string {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var addresses []string
	for _, name := range names {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			addresses = append(addresses, name)
			continue
		}
		found, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			found = []string{host}
		}
		for _, address := range found {
			addresses = append(addresses, net.JoinHostPort(address, port))
		}
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	return addresses
}
