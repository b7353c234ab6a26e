//go:build faults

//faults:zookeeper

package coord

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/internal/servers"
)

// A nameServer is a name server that knows one address, whatever it is asked for.
type nameServer struct{ address atomic.Value }

// startNames makes every lookup of this process ask a server that answers with address, until the test ends.
func startNames(t *testing.T, address string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{}
	n.address.Store(address)
	var served sync.WaitGroup
	served.Go(func() { n.serve(conn) })
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		served.Wait()
	})
	return n
}

// serve answers questions for an IPv4 address with it, and all others with nothing: RFC 1035, section 4.
func (n *nameServer) serve(conn net.PacketConn) {
	const header, answer = 12, 0x8400 // of an authority, without an error
	for query := make([]byte, 512); ; {
		size, from, err := conn.ReadFrom(query)
		if err != nil {
			return
		}
		end := header
		for query[end] != 0 {
			end += 1 + int(query[end])
		}
		end += 5 // the root, type and class
		if end > size {
			continue
		}
		reply := append([]byte{}, query[:end]...)
		binary.BigEndian.PutUint16(reply[2:], answer)
		clear(reply[6:header])
		if binary.BigEndian.Uint16(query[end-4:]) == 1 {
			reply[7] = 1
			reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name in question, for no time at all
			reply = append(reply, net.ParseIP(n.address.Load().(string)).To4()...)
		}
		conn.WriteTo(reply, from)
	}
}

// All three servers of an ensemble come back under other addresses, of which only their name tells: the session goes on.
func TestEnsembleMoves(t *testing.T) {
	checkLeaks(t)
	options := servers.ZooKeeperOptions{Dir: t.TempDir(), Servers: 3, TickTime: tick, Host: "127.0.0.2"}
	for range options.Servers {
		port, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		options.Ports = append(options.Ports, port)
	}
	ensemble, err := servers.StartZooKeeper(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ensemble.Close)
	names := startNames(t, options.Host)
	s := openWith(t, 20*time.Second, strings.Split(strings.ReplaceAll(ensemble.Addr(), options.Host, "zookeeper.example."), ",")...)
	createTask(t, s, "orders")
	term := mustClaim(t, join(t, s, "orders", "1"))

	ensemble.Close()
	eventually(t, 5*time.Second, "disconnected", func() bool { return s.Disconnected() > 0 })
	options.Host = "127.0.0.3"
	if ensemble, err = servers.StartZooKeeper(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ensemble.Close)
	names.address.Store(options.Host)
	insist(t, term, at(1))
	if got := look(t, s, "orders").LastCommit; s.Err() != nil || got.Term != 1 || got.Position != 1 {
		t.Errorf("session %v, lastCommit %+v, want term 1 at 1", s.Err(), got)
	}
}
