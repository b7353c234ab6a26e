package faults

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// The numbers that ZooKeeper gives, in place of a request's own, to what answers none.
const (
	eventXID = -1
	pingXID  = -2
)

// A zooKeeperSession knows the requests that are under way.
type zooKeeperSession struct {
	mu  sync.Mutex
	ops map[int32]int // by a request's number
}

func (s *zooKeeperSession) reader(d Direction, from net.Conn) packetReader {
	return &zooKeeperReader{session: s, direction: d, from: from, first: true}
}

type zooKeeperReader struct {
	session   *zooKeeperSession
	direction Direction
	from      net.Conn
	first     bool
	opaque    bool // not ZooKeeper's protocol, or one of its four letter words
}

func (r *zooKeeperReader) read() (Packet, error) {
	if r.opaque {
		return rawReader{r.from}.read()
	}
	header := make([]byte, 4)
	if _, err := io.ReadFull(r.from, header); err != nil {
		return Packet{}, err
	}
	size := binary.BigEndian.Uint32(header)
	if size > maxFrame {
		r.opaque = true
		return Packet{Op: OpNone, Body: header}, nil
	}
	f, err := readBody(r.from, header, int(size))
	if err != nil {
		return f, err
	}
	f.Op = r.op(f.Body)
	r.first = false
	return f, nil
}

func (r *zooKeeperReader) op(body []byte) int {
	if r.first {
		return OpOpen
	}
	if len(body) < 8 {
		return OpNone
	}
	xid := int32(binary.BigEndian.Uint32(body))
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case xid == pingXID:
		return ZooKeeperPing
	case xid == eventXID:
		return OpNone
	case r.direction == Requests:
		op := int(int32(binary.BigEndian.Uint32(body[4:])))
		s.ops[xid] = op
		return op
	}
	op, known := s.ops[xid]
	delete(s.ops, xid)
	if !known {
		return OpNone
	}
	return op
}
