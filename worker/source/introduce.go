package source

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// introduce gives the library a connection that is authenticated already, with the
// capabilities that were agreed on. The library insists on a handshake of its own:
// it gets one that never leaves the process, and no password.
func introduce(ctx context.Context, conn net.Conn, version string, capabilities uint32) (*client.Conn, error) {
	played := &playedConn{Conn: conn, plays: append(greetingFor(version, capabilities), okAtLast...)}
	dial := func(context.Context, string, string) (net.Conn, error) { return played, nil }
	made, err := client.ConnectWithDialer(ctx, "tcp", conn.RemoteAddr().String(), "", "", "", dial)
	if err != nil {
		return nil, fmt.Errorf("introduce the connection to the library: %w", err)
	}
	return made, nil
}

// okAtLast is the packet that ends a handshake: OK, nothing done, autocommit.
const okAtLast = "\x07\x00\x00\x02" + "\x00\x00\x00\x02\x00\x00\x00"

// greetingFor is a packet of the form that parseGreeting reads.
func greetingFor(version string, capabilities uint32) []byte {
	body := append([]byte{mysql.ClassicProtocolVersion}, version...)
	body = append(body, make([]byte, 1+4+8+1)...)
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities))
	body = append(body, 45, 2, 0) // utf8mb4, autocommit
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities>>16))
	body = append(body, saltSize+1)
	body = append(body, make([]byte, 10+saltSize-8+1)...)
	body = append(append(body, mysql.AUTH_NATIVE_PASSWORD...), 0)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// playedConn is a connection that plays something before it lets the server speak,
// and does not pass on the first thing that is written.
type playedConn struct {
	net.Conn
	plays    []byte
	answered bool
}

func (c *playedConn) Read(p []byte) (int, error) {
	if len(c.plays) > 0 {
		n := copy(p, c.plays)
		c.plays = c.plays[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *playedConn) Write(p []byte) (int, error) {
	if !c.answered {
		c.answered = true
		return len(p), nil
	}
	return c.Conn.Write(p)
}
