//go:build integration

package coord

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/servers"
)

func TestOpenMakesTheRoot(t *testing.T) {
	checkLeaks(t)
	cfg := Config{Servers: []string{standalone}, Root: rootOf(t) + "/deep/er", Timeout: timeout, Logger: zerolog.Nop()}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createTask(t, s, "orders")
	plain, err := Open(t.Context(), Config{Servers: []string{standalone}, Timeout: timeout, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.get(t.Context(), cfg.Root+"/tasks/orders/lastCommit"); err != nil {
		t.Errorf("lastCommit is not below the root: %v", err)
	}
	if s.ID() == 0 || s.ID() == plain.ID() || s.Timeout() != timeout || s.Disconnected() != 0 || s.Err() != nil {
		t.Errorf("session %#x, timeout %s, disconnected %s, %v", s.ID(), s.Timeout(), s.Disconnected(), s.Err())
	}
}

func TestTimeoutIsNegotiated(t *testing.T) {
	checkLeaks(t)
	s, err := Open(t.Context(), Config{Servers: []string{standalone}, Root: rootOf(t), Timeout: time.Hour, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := s.Timeout(), maxTimeout; got != want {
		t.Errorf("timeout %s, want the server's maximum %s", got, want)
	}
}

// listen serves every connection to a port of its own.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, addr string
		cause      error
	}{
		{"silent", listen(t, func(net.Conn) {}), nil},
		{"another protocol", listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1\r\n") }), errNotZooKeeper},
		{"half a welcome", listen(t, func(c net.Conn) { _, _ = c.Write(welcomePacket(1, time.Second)[:10]) }), nil},
		{"nobody", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil},
		{"no such host", "no-such-host.invalid:2181", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := Open(ctx, Config{Servers: []string{test.addr}, Timeout: timeout, Logger: zerolog.Nop()})
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
			var unreachable *UnreachableError
			if !errors.Is(err, ErrUnreachable) || !errors.As(err, &unreachable) || unreachable.Hint() == "" {
				t.Errorf("got %v, want an UnreachableError", err)
			}
			if !errors.Is(err, test.cause) && test.cause != nil || errors.Is(err, ErrClosed) {
				t.Errorf("got %v, want the cause %v", err, test.cause)
			}
			t.Log(time.Since(began), err)
		})
	}
}

func TestOpenWaitsForTheServer(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	p.Cut()
	time.AfterFunc(500*time.Millisecond, p.Heal)
	s := open(t, p.Addr())
	if s.ID() == 0 {
		t.Error("no session")
	}
}
