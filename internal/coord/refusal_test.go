package coord

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/zkpaths"
)

// The requests that a peer answers, and the answers of a server that refuses.
const (
	opExists, opGet, opSync, opPing, opMulti, opClose = 3, 4, 9, 11, 14, -11

	sessionMoved  = -118
	quotaExceeded = -125
	throttledOp   = -127
)

// A peer speaks ZooKeeper's protocol, has one spec at every path, and refuses the first
// requests of one operation.
type peer struct {
	t        *testing.T
	listener net.Listener
	serving  sync.WaitGroup

	mu          sync.Mutex
	op          int32
	code        int32
	refusals    int // still to come
	connections int
	asked       int // requests of op
}

func newPeer(t *testing.T) *peer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, listener: listener}
	p.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.connections++
			p.mu.Unlock()
			p.serving.Go(func() {
				defer conn.Close()
				p.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.serving.Wait()
	})
	return p
}

// refuse answers the next n requests of an operation with code.
func (p *peer) refuse(n int, op, code int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.op, p.code, p.refusals, p.asked = op, code, n, 0
}

func (p *peer) seen() (asked, connections int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked, p.connections
}

func (p *peer) serve(conn net.Conn) {
	if _, err := readFrame(conn); err != nil {
		return
	}
	conn.Write(welcomePacket(42, 10*time.Second))
	for {
		request, err := readFrame(conn)
		if err != nil || len(request) < 8 {
			return
		}
		op := int32(binary.BigEndian.Uint32(request[4:]))
		code, body := p.answer(op)
		reply := append([]byte{}, request[:4]...)
		reply = binary.BigEndian.AppendUint64(reply, 7) // zxid
		reply = binary.BigEndian.AppendUint32(reply, uint32(code))
		reply = append(reply, body...)
		conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...))
		if op == opClose {
			return
		}
	}
}

func (p *peer) answer(op int32) (code int32, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refused := false
	if op == p.op {
		p.asked++
		if refused = p.refusals > 0; refused {
			p.refusals--
		}
	}
	stat := make([]byte, 68)
	switch {
	case refused && op == opMulti && p.code != throttledOp: // the answer of the operation
		body = binary.BigEndian.AppendUint32(nil, uint32(0xffffffff))
		body = append(body, 0)
		body = binary.BigEndian.AppendUint32(body, uint32(p.code))
		return 0, append(binary.BigEndian.AppendUint32(body, uint32(p.code)), multiEnd...)
	case refused:
		return p.code, nil
	case op == opExists:
		return 0, stat
	case op == opGet:
		spec := zkpaths.Spec{
			Source: "mysql://u@h", Archive: "/a", Start: "earliest", SegmentSize: 8 << 20, Desired: zkpaths.Running, TaskUID: "uid",
			FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second),
		}
		data := mustEncode("/spec", &spec)
		return 0, append(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...), stat...)
	case op == opSync:
		return 0, append(binary.BigEndian.AppendUint32(nil, 1), '/')
	case op == opMulti:
		body = append(binary.BigEndian.AppendUint32(nil, 5), 0, 0, 0, 0, 0)
		return 0, append(append(body, stat...), multiEnd...)
	}
	return 0, nil
}

var multiEnd = []byte{0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff}

func readFrame(r io.Reader) ([]byte, error) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(r, size); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size))
	_, err := io.ReadFull(r, body)
	return body, err
}

// A server that refuses has carried out nothing: a quota is the caller's to hear of,
// what passes is asked for again with pauses, and neither floods the server.
func TestRefusals(t *testing.T) {
	update := func(ctx context.Context, s *Session) error {
		_, err := s.UpdateSpec(ctx, "orders", func(spec *zkpaths.Spec) error { spec.SegmentSize++; return nil })
		return err
	}
	read := func(ctx context.Context, s *Session) error {
		_, _, err := s.Spec(ctx, "orders")
		return err
	}
	register := func(ctx context.Context, s *Session) error {
		return s.RegisterWorker(ctx, zkpaths.Worker{ServerID: "1"}, nil)
	}
	tests := []struct {
		name        string
		op, code    int32
		times       int
		do          func(context.Context, *Session) error
		refused     bool // it ends with a *RefusedError
		asked       int
		connections int
		pauses      time.Duration // at least
	}{
		{"quota", opMulti, quotaExceeded, 1000, update, true, 1, 1, 0},
		{"quota of a worker's node", opMulti, quotaExceeded, 2, register, false, 3, 1, 200 * time.Millisecond},
		{"throttled write", opMulti, throttledOp, 3, update, false, 4, 1, 500 * time.Millisecond},
		{"throttled read", opGet, throttledOp, 3, read, false, 4, 1, 500 * time.Millisecond},
		{"throttled sync", opSync, throttledOp, 2, read, false, 3, 1, 200 * time.Millisecond},
		{"throttled for good", opGet, throttledOp, 1000, read, true, 0, 1, time.Second},
		{"moved", opMulti, sessionMoved, 1, update, false, 2, 2, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			var log bytes.Buffer
			s, err := Open(t.Context(), Config{Servers: []string{p.listener.Addr().String()}, Logger: zerolog.New(zerolog.SyncWriter(&log))})
			if err != nil {
				t.Fatal(err)
			}
			p.refuse(test.times, test.op, test.code)
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err = test.do(ctx, s)
			took := time.Since(began)
			asked, connections := p.seen()
			s.Close()
			refusal := (*RefusedError)(nil)
			if errors.As(err, &refusal) != test.refused || !test.refused && err != nil || test.refused && refusal.Hint() == "" {
				t.Errorf("got %v", err)
			}
			if test.asked > 0 && asked != test.asked || asked > 10 || connections != test.connections || took < test.pauses {
				t.Errorf("%d requests over %d connections in %s, want %d over %d in %s at least", asked, connections, took, test.asked, test.connections, test.pauses)
			}
			if n := strings.Count(log.String(), "trying again, with growing pauses"); n > 1 || n == 0 && asked > 1 {
				t.Errorf("it is said %d times:\n%s", n, &log)
			}
		})
	}
}
