package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// greeting is what a server says first, before the client has said anything.
type greeting struct {
	version      string
	capabilities uint32
	plugin       string // of the account that the server expects
	salt         []byte // saltSize bytes, new for each connection
}

func (g greeting) offersTLS() bool { return g.capabilities&mysql.CLIENT_SSL != 0 }
func (g greeting) mariaDB() bool   { return strings.Contains(g.version, "MariaDB") }

// maxHandshake is far above the size of a packet of the handshake, in bytes. Text
// of another protocol, read as a packet header, claims more.
const maxHandshake = 4096

// notMySQLError is a peer that speaks something else.
type notMySQLError struct{ problem string }

func (e *notMySQLError) Error() string { return "it does not speak the MySQL protocol: " + e.problem }

// readGreeting reads the first packet of a connection. A server that refuses the
// connection sends an error instead, which is returned as *mysql.MyError.
func readGreeting(conn io.Reader) (greeting, error) {
	var header [packetHeaderSize]byte
	if n, err := io.ReadFull(conn, header[:]); err != nil {
		if n > 0 {
			return greeting{}, &notMySQLError{fmt.Sprintf("it sent %q", header[:n])}
		}
		return greeting{}, fmt.Errorf("read the server's greeting: %w", err)
	}
	size := int(binary.LittleEndian.Uint32(header[:]) & 0xffffff)
	if header[3] != 0 || size == 0 || size > maxHandshake {
		return greeting{}, &notMySQLError{fmt.Sprintf("it starts with %q", header[:])}
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return greeting{}, fmt.Errorf("read the server's greeting: %w", err)
	}
	return parseGreeting(body)
}

const (
	// saltSize is the size, in bytes, of what makes each answer to a challenge
	// another one. A zero follows it.
	saltSize = 20
	// needed is what every server since MySQL 5.5.7 can.
	needed = mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_PLUGIN_AUTH
)

// parseGreeting reads version 10 of the handshake: the version of the server, a
// zero, 4 bytes of connection id, 8 of salt, a zero, 2 of capabilities, 1 of
// character set, 2 of status, 2 of more capabilities, 1 of the salt's size, 10 that
// are reserved, 13 of salt, the last a zero, and the plugin's name.
func parseGreeting(body []byte) (greeting, error) {
	if body[0] == mysql.ERR_HEADER && len(body) >= 3 {
		return greeting{}, errorPacket(body)
	}
	if body[0] != mysql.ClassicProtocolVersion {
		return greeting{}, &notMySQLError{fmt.Sprintf("protocol version %d", body[0])}
	}
	version, rest, found := bytes.Cut(body[1:], []byte{0})
	if !found || len(rest) < 4+8+1+2+1+2+2+1+10+saltSize-8+1 {
		return greeting{}, &notMySQLError{"the greeting is too short"}
	}
	g := greeting{
		version:      string(version),
		capabilities: uint32(binary.LittleEndian.Uint16(rest[13:])) | uint32(binary.LittleEndian.Uint16(rest[18:]))<<16,
		salt:         append(rest[4:12:12], rest[31:43]...),
	}
	if g.capabilities&needed != needed {
		return greeting{}, &notMySQLError{"the server is older than MySQL 5.5.7"}
	}
	plugin, _, _ := bytes.Cut(rest[44:], []byte{0})
	g.plugin = string(plugin)
	return g, nil
}

// errorPacket is a server's refusal, from a packet of at least 3 bytes.
func errorPacket(body []byte) error {
	return &mysql.MyError{Code: binary.LittleEndian.Uint16(body[1:]), State: "HY000", Message: errorMessage(body[3:])}
}

// errorMessage is the text of an error packet, after its code: an SQL state, which
// is left out, may stand first.
func errorMessage(text []byte) string {
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	return brief(string(text))
}
