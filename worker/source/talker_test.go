package source

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/binlog"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// A talker is a server made by hand, which lets everybody in, on a port of this machine.
type talker struct {
	greeting []byte // the payload of its first packet; nil: of a MySQL 9.7
	admits   []byte // the payload that answers the login; nil: OK
	// answers are what it sends for a command that begins with the key; a nil func
	// closes the connection.
	answers map[string]func(*talkerConn)
}

// talkerConn is a talker's end of a connection.
type talkerConn struct {
	net.Conn
	sequence byte // of the next packet
}

var okPayload = []byte{0, 0, 0, 2, 0, 0, 0}

// greetingOf is the greeting of a server of that version.
func greetingOf(version string) []byte {
	capabilities := mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_PLUGIN_AUTH | mysql.CLIENT_LONG_PASSWORD |
		mysql.CLIENT_TRANSACTIONS | mysql.CLIENT_CONNECT_ATTRS | mysql.CLIENT_DEPRECATE_EOF | mysql.CLIENT_QUERY_ATTRIBUTES | mysql.CLIENT_SESSION_TRACK
	body := append([]byte{10}, version...)
	body = append(body, 0, 1, 0, 0, 0)
	body = append(append(body, "saltsalt"...), 0)
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities))
	body = append(body, 45, 2, 0)
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities>>16))
	body = append(append(body, 21), make([]byte, 10)...)
	body = append(append(body, "saltsaltsalt"...), 0)
	return append(append(body, mysql.AUTH_NATIVE_PASSWORD...), 0)
}

// packet sends payload as one packet.
func (c *talkerConn) packet(payload []byte) error {
	err := c.raw(len(payload), payload)
	c.sequence++
	return err
}

// raw sends a packet that announces size bytes.
func (c *talkerConn) raw(size int, payload []byte) error {
	head := binary.LittleEndian.AppendUint32(nil, uint32(size)|uint32(c.sequence)<<24)
	_, err := c.Write(append(head, payload...))
	return err
}

var eofPayload = []byte{0xfe, 0, 0, 2, 0}

// columns begins a result set.
func (c *talkerConn) columns(n int) {
	_ = c.packet([]byte{byte(n)})
	for range n {
		_ = c.packet([]byte("\x03def and so on"))
	}
	_ = c.packet(eofPayload)
}

// rows sends a result set.
func (c *talkerConn) rows(columns int, rows ...[]string) {
	c.columns(columns)
	for _, row := range rows {
		_ = c.packet(rowPayload(row...))
	}
	_ = c.packet(eofPayload)
}

func rowPayload(row ...string) (payload []byte) {
	for _, value := range row {
		payload = append(payload, mysql.PutLengthEncodedString([]byte(value))...)
	}
	return payload
}

// read returns the next command, or the login.
func (c *talkerConn) read() (string, error) {
	var header [4]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return "", err
	}
	payload := make([]byte, binary.LittleEndian.Uint32(header[:])&0xffffff)
	_, err := io.ReadFull(c, payload)
	c.sequence = header[3] + 1
	return string(payload), err
}

// listen lets the talker answer at an address for as long as the test lasts.
func (p talker) listen(t testing.TB) Target {
	t.Helper()
	return listenWith(t, p.serve)
}

// listenWith lets serve answer at an address, for as long as the test lasts.
func listenWith(t testing.TB, serve func(*talkerConn)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c := &talkerConn{Conn: conn}
			_ = c.SetDeadline(time.Now().Add(time.Minute)) // a client that hangs fails its test
			serve(c)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	return Target{User: "binkeeper", Host: "127.0.0.1", Port: uint16(l.Addr().(*net.TCPAddr).Port), SSLMode: SSLDisabled}
}

func (p talker) serve(c *talkerConn) {
	greeting := p.greeting
	if greeting == nil {
		greeting = greetingOf("9.7.4")
	}
	_ = c.packet(greeting)
	if _, err := c.read(); err != nil {
		return
	}
	admits := p.admits
	if admits == nil {
		admits = okPayload
	}
	_ = c.packet(admits)
	for {
		command, err := c.read()
		if err != nil {
			return
		}
		answer := func(c *talkerConn) { _ = c.packet(okPayload) }
		for begins, known := range p.answers {
			if strings.HasPrefix(command, begins) {
				answer = known
			}
		}
		if answer == nil {
			return
		}
		answer(c)
	}
}

// meet connects to the talker.
func (p talker) meet(t testing.TB) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), p.listen(t), Options{Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answering is a talker that answers any query in one way.
func answering(answer func(*talkerConn)) talker {
	return talker{answers: map[string]func(*talkerConn){"\x03": answer}}
}

// puppet is a connection on which a server sends the given payloads, in packets that
// fit the client's; a test's input does not know those.
type puppet struct {
	payloads [][]byte
	current  []byte
	sequence byte
}

func (p *puppet) Read(b []byte) (int, error) {
	if len(p.current) == 0 {
		if len(p.payloads) == 0 {
			return 0, io.EOF
		}
		payload := p.payloads[0]
		p.payloads = p.payloads[1:]
		p.current = binary.LittleEndian.AppendUint32(nil, uint32(len(payload))|uint32(p.sequence)<<24)
		p.current = append(p.current, payload...)
		p.sequence++
	}
	n := copy(b, p.current)
	p.current = p.current[n:]
	return n, nil
}

func (p *puppet) Write(b []byte) (int, error) {
	if len(b) > 3 {
		p.sequence = b[3] + 1
	}
	return len(b), nil
}

func (p *puppet) Close() error                     { return nil }
func (p *puppet) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (p *puppet) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (p *puppet) SetDeadline(time.Time) error      { return nil }
func (p *puppet) SetReadDeadline(time.Time) error  { return nil }
func (p *puppet) SetWriteDeadline(time.Time) error { return nil }

// talk is everything that a caller asks a server, until something is wrong.
func talk(ctx context.Context, c *Conn) error {
	if err := c.handshake(ctx); err != nil {
		return err
	}
	if _, err := c.Server(ctx); err != nil {
		return err
	}
	if _, err := c.BinlogFiles(ctx); err != nil {
		return err
	}
	if _, err := c.ReplicaIDs(ctx); err != nil {
		return err
	}
	if err := c.CheckFit(ctx); err != nil {
		return err
	}
	stream, err := c.Dump(ctx, binlog.Start{File: "mysql-bin.000001"})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		if _, _, err := stream.Next(nil, time.Time{}); err != nil && !errors.Is(err, ErrNotYet) {
			return err
		}
	}
}
