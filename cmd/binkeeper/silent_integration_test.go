//go:build integration

package main

import (
	"net"
	"testing"
)

// A silence is a port that accepts connections and never says anything.
type silence struct {
	addr     string
	accepted <-chan struct{} // one value for the first connections, a few at most
}

func silentPort(t *testing.T) silence {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted, ended := make(chan struct{}, 2), make(chan struct{})
	go func() {
		defer close(ended)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
			select {
			case accepted <- struct{}{}:
			default:
			}
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return silence{listener.Addr().String(), accepted}
}
