package dump

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"binkeeper/internal/binlog"
	"binkeeper/zkpaths"
)

// A file that is torn ends where it is whole, once the one behind it is proven. Without one it
// is an operator's to decide.
func TestTornFile(t *testing.T) {
	marker := []byte("here the source can read no more")
	for name, next := range map[string]bool{"another follows": true, "none follows": false} {
		t.Run(name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				f.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := f.source.Dial(ctx, network, address)
					return &refusing{Conn: conn, meets: func(event []byte) bool { return bytes.Contains(event, marker) },
						text: "binlog truncated in the middle of event; consider out of disk space on source"}, err
				}
				f.source.Commit(100)
				whole := f.source.File("mysql-bin.000001")
				f.source.Write(2, append(make([]byte, 13), marker...))
				if next {
					f.source.Crash(0)
					f.source.Commit(100)
				}
				e := f.ending(f.open())
				if e.Kind != EndedTorn || !e.TornHere || e.Reason != ReasonSource {
					f.Fatalf("it ended with %+v", e)
				}
				f.committedAll()
				if !next {
					if e := f.ending(f.start()); e.Kind != EndedBlocked || e.Reason != zkpaths.BlockedTorn || e.Hint == "" {
						f.Errorf("it ended with %+v", e)
					}
				} else {
					d := f.open()
					f.catchUp(d)
					f.stop(d)
					if got, want := f.archived("mysql-bin.000002"), f.source.File("mysql-bin.000002"); !bytes.Equal(got, want) {
						f.Errorf("%d bytes of the second file are archived, the source has %d", len(got), len(want))
					}
				}
				if got := f.archived("mysql-bin.000001"); !bytes.Equal(got, whole) {
					f.Errorf("%d bytes of the torn file are archived, %d are whole", len(got), len(whole))
				}
			})
		})
	}
}

// A source that does not send, in its present gtid_mode, the last archived transaction again
// still sends its end, which proves as much. What it refuses of the stream blocks the task.
func TestGTIDModeOfTheSource(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		var refuses atomic.Bool
		f.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := f.source.Dial(ctx, network, address)
			return &refusing{Conn: conn, meets: func(event []byte) bool { return refuses.Load() && event[4] == binlog.TypeGTID },
				text: "Cannot replicate GTID-transaction when @@GLOBAL.GTID_MODE = OFF, at file ./mysql-bin.000001, position 126."}, err
		}
		f.source.Commit(100)
		f.goesOn()
		refuses.Store(true)
		d := f.open()
		if !strings.Contains(f.log.String(), "in its present gtid_mode; its end is the same") {
			f.Errorf("nothing is said of it:\n%s", f.log)
		}
		before := f.end().Offset
		f.source.Commit(100)
		if e := f.ending(d); e.Kind != EndedBlocked || e.Reason != zkpaths.BlockedGTIDMode || e.Hint == "" {
			f.Errorf("it ended with %+v", e)
		}
		if end := f.end(); end.Offset != before {
			f.Errorf("the archive has come from %d to %d", before, end.Offset)
		}
		refuses.Store(false)
		f.goesOn()
	})
}

// A refusing connection is one whose source ends the stream with an error in place of the
// event that meets says.
type refusing struct {
	net.Conn
	meets          func(event []byte) bool
	text           string
	arrived, ready []byte
}

func (c *refusing) Read(p []byte) (int, error) {
	const header = 5 // 3 bytes the length, the sequence number, and the zero of what is no error
	for len(c.ready) == 0 {
		buf := make([]byte, 4096)
		n, err := c.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		c.arrived = append(c.arrived, buf[:n]...)
		for len(c.arrived) >= header-1 {
			size := header - 1 + int(c.arrived[0]) + int(c.arrived[1])<<8 + int(c.arrived[2])<<16
			if len(c.arrived) < size {
				break
			}
			packet := c.arrived[:size]
			if size > header+binlog.HeaderSize && packet[header-1] == 0 && c.meets(packet[header:]) {
				text := "\xff\xd4\x04#HY000" + c.text // error 1236
				packet = append([]byte{byte(len(text)), 0, 0, packet[3]}, text...)
			}
			c.ready, c.arrived = append(c.ready, packet...), c.arrived[size:]
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}
