package faults

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Framing says how the bytes of a connection are taken apart into packets.
type Framing int

// The framings. A connection that turns out to speak another protocol, or changes to TLS, goes on as Raw.
const (
	Raw       Framing = iota // chunks of at most 32 KiB, as they come
	ZooKeeper                // 4 bytes of length, then that many
	MySQL                    // 3 bytes of length and 1 of sequence, then as many as the length says
)

// Direction is which way a packet goes.
type Direction int

// The directions.
const (
	Requests Direction = iota // from the client to the server
	Replies                   // from the server to the client
)

// Values of Packet.Op that are no command of a protocol.
const (
	OpNone = -1 // a chunk of a raw connection, or an event that ZooKeeper sends by itself
	OpOpen = -2 // a packet before the first command
)

// Some commands, as values of Packet.Op.
const (
	ZooKeeperPing     = 11
	ZooKeeperChildren = 12
	ZooKeeperMulti    = 14

	MySQLQuery    = 3
	MySQLDump     = 18
	MySQLDumpGTID = 30
)

// A Packet is one that passes the proxy.
type Packet struct {
	Link      int // the connection's number, from 1
	Nth       int // its number in its direction of that connection, from 1
	Direction Direction
	// Op is the command that the packet is, or that it is a reply to: an opcode of ZooKeeper's, a command byte of
	// MySQL's, OpOpen or OpNone.
	Op int
	// Body is what follows the framing's header. A script may change its bytes in place, and then says Alter.
	Body []byte

	header []byte
	at     time.Time // of its arrival
}

// maxFrame bounds, in bytes, what is taken for a packet of ZooKeeper's.
const maxFrame = 64 << 20

const chunk = 32 << 10 // of a raw connection, in bytes

// A session is what the two directions of a connection know of each other.
type session interface {
	reader(d Direction, from net.Conn) packetReader
}

type packetReader interface {
	read() (Packet, error)
}

func (f Framing) session() session {
	switch f {
	case ZooKeeper:
		return &zooKeeperSession{ops: map[int32]int{}}
	case MySQL:
		s := &mySQLSession{}
		s.op.Store(OpOpen)
		return s
	}
	return rawSession{}
}

type rawSession struct{}

func (rawSession) reader(_ Direction, from net.Conn) packetReader { return rawReader{from} }

type rawReader struct{ from io.Reader }

func (r rawReader) read() (Packet, error) {
	body := make([]byte, chunk)
	n, err := r.from.Read(body)
	if n > 0 {
		err = nil
	}
	return Packet{Op: OpNone, Body: body[:n]}, err
}

// readBody reads the packet that a header of 4 bytes announces.
func readBody(from io.Reader, header []byte, size int) (Packet, error) {
	f := Packet{header: header, Body: make([]byte, size)}
	_, err := io.ReadFull(from, f.Body)
	return f, err
}

// A mySQLSession knows the last command, and whether TLS has begun.
type mySQLSession struct {
	op     atomic.Int64
	opaque atomic.Bool
}

func (s *mySQLSession) reader(d Direction, from net.Conn) packetReader {
	return &mySQLReader{s, d, from}
}

type mySQLReader struct {
	*mySQLSession
	direction Direction
	from      net.Conn
}

func (r *mySQLReader) read() (Packet, error) {
	if r.opaque.Load() {
		return rawReader{r.from}.read()
	}
	header := make([]byte, 4)
	if _, err := io.ReadFull(r.from, header); err != nil {
		return Packet{}, err
	}
	if r.opaque.Load() { // the first bytes of TLS
		return Packet{Op: OpNone, Body: header}, nil
	}
	f, err := readBody(r.from, header, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	if r.direction == Requests {
		r.note(header[3], f.Body)
	}
	f.Op = int(r.op.Load())
	return f, err
}

// note takes in what a client's packet tells of those that follow.
func (r *mySQLReader) note(sequence byte, body []byte) {
	const (
		sslRequest = 32      // its size, in bytes
		clientSSL  = 1 << 11 // the capability that it asks for
	)
	switch {
	case sequence == 0 && len(body) > 0:
		r.op.Store(int64(body[0]))
	case sequence == 1 && len(body) == sslRequest && binary.LittleEndian.Uint32(body)&clientSSL != 0:
		r.opaque.Store(true)
	}
}
