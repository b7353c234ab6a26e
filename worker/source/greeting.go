package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// greeting is what a server says first, before the client has said anything.
type greeting struct {
	packet    []byte // as it came, header included
	offersTLS bool
	mariaDB   bool
}

// maxGreeting is far above the size of a greeting, in bytes. Text of another
// protocol, read as a packet header, claims more.
const maxGreeting = 4096

// notMySQLError is a peer that speaks something else.
type notMySQLError struct{ problem string }

func (e *notMySQLError) Error() string { return "it does not speak the MySQL protocol: " + e.problem }

// readGreeting reads the first packet of a connection. A server that refuses the
// connection sends an error instead, which is returned as *mysql.MyError.
func readGreeting(conn io.Reader) (greeting, error) {
	var header [4]byte
	if n, err := io.ReadFull(conn, header[:]); err != nil {
		if n > 0 {
			return greeting{}, &notMySQLError{fmt.Sprintf("it sent %q", header[:n])}
		}
		return greeting{}, fmt.Errorf("read the server's greeting: %w", err)
	}
	size := int(binary.LittleEndian.Uint32(header[:]) & 0xffffff)
	if header[3] != 0 || size == 0 || size > maxGreeting {
		return greeting{}, &notMySQLError{fmt.Sprintf("it starts with %q", header[:])}
	}
	packet := append(header[:], make([]byte, size)...)
	if _, err := io.ReadFull(conn, packet[4:]); err != nil {
		return greeting{}, fmt.Errorf("read the server's greeting: %w", err)
	}
	return parseGreeting(packet)
}

// parseGreeting reads version 10 of the handshake: the version of the server, a
// zero, 4 bytes of connection id, 8 of salt, a zero, 2 of capabilities.
func parseGreeting(packet []byte) (greeting, error) {
	body := packet[4:]
	if body[0] == mysql.ERR_HEADER && len(body) >= 3 {
		return greeting{}, &mysql.MyError{Code: binary.LittleEndian.Uint16(body[1:]), Message: errorMessage(body[3:])}
	}
	if body[0] != mysql.ClassicProtocolVersion {
		return greeting{}, &notMySQLError{fmt.Sprintf("protocol version %d", body[0])}
	}
	version, rest, found := bytes.Cut(body[1:], []byte{0})
	const capabilities = 4 + 8 + 1
	if !found || len(rest) < capabilities+2 {
		return greeting{}, &notMySQLError{"the greeting is too short"}
	}
	return greeting{
		packet:    packet,
		offersTLS: uint32(binary.LittleEndian.Uint16(rest[capabilities:]))&mysql.CLIENT_SSL != 0,
		mariaDB:   strings.Contains(string(version), "MariaDB"),
	}, nil
}

// errorMessage is the text of an error packet, after its code: an SQL state, which
// is left out, may stand first.
func errorMessage(text []byte) string {
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	return string(text)
}

// replayConn is a connection from which head was read already.
type replayConn struct {
	net.Conn
	head []byte
}

func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
