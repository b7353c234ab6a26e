package coord

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/zktest"
)

// A closingConn takes nothing more once the request to close the session has gone through it.
type closingConn struct {
	net.Conn
	closing bool
}

func (c *closingConn) Write(p []byte) (int, error) {
	if c.closing {
		return 0, errors.New("broken pipe")
	}
	const closeSession = -11
	c.closing = len(p) == 12 && int32(binary.BigEndian.Uint32(p[8:])) == closeSession
	return c.Conn.Write(p)
}

// A session is closed while requests begin, whose writes fail. The client answers such a request once too often, and its
// loop would hang for ever.
func TestCloseWhileRequestsBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := zktest.New(zktest.Options{})
		defer server.Close()
		dial := func(network, address string, timeout time.Duration) (net.Conn, error) {
			conn, err := server.Dial(network, address, timeout)
			return &closingConn{Conn: conn}, err
		}
		for range 60 {
			s, err := Open(t.Context(), Config{Servers: []string{"127.0.0.1:2181"}, Dial: dial, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			var asking sync.WaitGroup
			closed := make(chan struct{})
			for range 2 {
				asking.Go(func() {
					for {
						select {
						case <-closed:
							return
						default:
							_, _, _ = s.conn.Exists("/")
						}
					}
				})
			}
			s.Close()
			close(closed)
			asking.Wait()
		}
	})
}

// A write that fails is told by the end of the connection, and by nothing else.
func TestFailedWriteEndsTheConnection(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	w := newWire(&closingConn{Conn: near, closing: true}, nil, false)
	w.opened.Store(true)
	if n, err := w.Write(make([]byte, 12)); n != 12 || err != nil {
		t.Errorf("%d bytes written, %v; want 12 and no error", n, err)
	}
	if err := near.SetReadDeadline(time.Now()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection is open still: %v", err)
	}
}
