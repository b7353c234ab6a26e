package dump

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
	"binkeeper/internal/coord"
	"binkeeper/internal/mysqltest"
	"binkeeper/zkpaths"
)

// goesOn lets one more attempt take what is left, and compares.
func (f *attemptFixture) goesOn() {
	f.Helper()
	d := f.open()
	f.catchUp(d)
	f.stop(d)
	f.sameAsSource()
	f.committedAll()
}

// What was read before the stream failed is stored and committed.
func TestReadFailsLate(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		f.source.Commit(100)
		f.source.Commit(2 * segmentSize)
		f.source.Commit(100)
		synctest.Wait()
		f.source.Leave()
		e := f.ending(d)
		if e.Kind != EndedByTrouble || e.Reason != ReasonSource || e.Disproved || e.Seen != uuidA || !e.Walked {
			f.Errorf("it ended with %+v", e)
		}
		f.sameAsSource()
		f.committedAll()
		if e := f.ending(f.start()); e.Kind != EndedByTrouble || e.Reason != ReasonSource || e.Disproved || e.Seen != "" {
			f.Errorf("the source is away, and it ended with %+v", e)
		}
		f.source.Return()
		f.source.Commit(100)
		f.goesOn()
	})
}

// A fault in what the source sends ends the stream before it: what came before is stored. A
// second one at the same place is the source's own, and an operator's to decide.
func TestCorruptEvent(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		marker := []byte("one byte of this is changed on the way")
		var spoiled atomic.Int64
		f.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := f.source.Dial(ctx, network, address)
			return spoiling{conn, marker, &spoiled}, err
		}
		d := f.open()
		f.source.Commit(100)
		synctest.Wait()
		good := int64(len(f.source.File("mysql-bin.000001")))
		f.source.Write(2, append(make([]byte, 13), marker...))
		e := f.ending(d)
		if e.Kind != EndedByTrouble || e.Reason != ReasonSource || e.Corrupt == nil || e.Corrupt.Offset != good || spoiled.Load() != 1 {
			f.Fatalf("%d events were spoiled, and it ended with %+v", spoiled.Load(), e)
		}
		if end := f.end(); end.Offset != good {
			f.Errorf("the archive ends in %d, the last good byte is at %d", end.Offset, good)
		}
		f.committedAll()
		e = f.ending(f.start())
		if e.Kind != EndedBlocked || e.Reason != zkpaths.BlockedSourceCorrupt || e.Hint == "" || spoiled.Load() != 2 {
			f.Errorf("%d events were spoiled, and it ended with %+v", spoiled.Load(), e)
		}
		f.cfg.Dial = f.source.Dial // the file was good after all
		f.goesOn()
	})
}

// A spoiling connection changes a byte of what comes with the marker.
type spoiling struct {
	net.Conn
	marker  []byte
	spoiled *atomic.Int64
}

func (c spoiling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if at := bytes.Index(p[:n], c.marker); at >= 0 {
		p[at] ^= 1
		c.spoiled.Add(1)
	}
	return n, err
}

// A panic of the compressor, which fails in no other way, ends the attempt before anything
// of it is stored.
func TestCompressFails(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.source.Commit(100)
		f.catchUp(d)
		f.stop(d)
		end := f.end()
		compressor := f.cfg.Compressor
		f.cfg.Compressor = nil
		d = f.open()
		f.source.Commit(100)
		if e := f.ending(d); e.Kind != EndedByPanic || e.Reason != ReasonPanic {
			f.Errorf("it ended with %+v", e)
		}
		if now := f.end(); now.Offset != end.Offset {
			f.Errorf("the archive has come from %d to %d", end.Offset, now.Offset)
		}
		f.cfg.Compressor = compressor
		f.goesOn()
	})
}

// Where the store fails, or loses its reply, what is committed is no more than what is stored.
func TestStoreFailsLate(t *testing.T) {
	for name, when := range map[string]storetest.When{"before it takes effect": storetest.Before, "after that": storetest.After} {
		t.Run(name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				f.source.Commit(100)
				f.goesOn()
				store := storetest.NewFaulty(f.T, f.folder)
				store.FailCreate(3, when, nil)
				f.storeIn(store)
				d := f.open()
				for range 6 {
					f.source.Commit(segmentSize)
				}
				e := f.ending(d)
				if e.Kind != EndedByTrouble || e.Reason != ReasonStore || !e.Disproved || !errors.Is(e.Err, storetest.ErrInjected) {
					f.Errorf("it ended with %+v", e)
				}
				if got := d.Progress().Flow().Segments; got != 2 {
					f.Errorf("%d segments are said to be stored, want 2", got)
				}
				f.goesOn()
			})
		})
	}
}

// A checkpoint that fails for good ends the attempt, and how it does so says what follows.
func TestCheckpointFailsLate(t *testing.T) {
	tests := []struct {
		err    error
		kind   EndKind
		reason string
	}{
		{coord.ErrFenced, EndedFenced, ""},
		{&coord.ForbiddenError{Cause: errors.New("no ACL")}, EndedByTrouble, ReasonCoordination},
	}
	for _, test := range tests {
		t.Run(test.err.Error(), func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				f.source.Commit(100)
				f.goesOn()
				committed := f.term.Last()
				d := f.open()
				f.term.refuse(test.err)
				f.source.Commit(segmentSize)
				if e := f.ending(d); e.Kind != test.kind || e.Reason != test.reason || !errors.Is(e.Err, test.err) {
					f.Errorf("it ended with %+v", e)
				}
				if f.term.Last().Position != committed.Position {
					f.Errorf("the checkpoint has moved to %d", f.term.Last().Position)
				}
				f.term.back()
				f.goesOn()
			})
		})
	}
}

// What the side look finds ends the attempt; what was read of the source before is stored and
// committed, also what its segment was too young for.
func TestSideLookEndsTheDump(t *testing.T) {
	tests := []struct {
		name   string
		change func(f *attemptFixture, other *mysqltest.Source, board *switchboard)
		err    error // nil: it is blocked
		kind   EndKind
		reason string
	}{
		{"another server at the address", func(_ *attemptFixture, other *mysqltest.Source, board *switchboard) { board.turn(other, false) },
			errOtherServer, EndedByTrouble, ReasonSource},
		{"the source's binlog is shorter", func(f *attemptFixture, _ *mysqltest.Source, _ *switchboard) { f.source.Reset() },
			errShorter, EndedByTrouble, ReasonSource},
		{"another task has taken the archive over", func(f *attemptFixture, _ *mysqltest.Source, _ *switchboard) {
			if _, err := archive.New(f.folder, "orders").Adopt(f.Context(), archive.Owner{TaskUID: "another"}); err != nil {
				f.Fatal(err)
			}
		}, nil, EndedBlocked, zkpaths.BlockedOtherTask},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				other := mysqltest.New(mysqltest.Identity{UUID: uuidB, ServerID: 8})
				defer other.Close()
				board := &switchboard{to: f.source}
				f.cfg.Dial = board.Dial
				f.source.Commit(1000)
				f.goesOn()
				f.cfg.Spec.FlushInterval = zkpaths.Duration(time.Hour)
				d := f.open()
				f.source.Commit(100)
				synctest.Wait()
				want := f.source.File("mysql-bin.000001")
				began := time.Now()
				test.change(f, other, board)
				e := f.ending(d)
				if e.Kind != test.kind || e.Reason != test.reason || test.err != nil && !errors.Is(e.Err, test.err) || e.Detail == "" {
					f.Errorf("it ended with %+v", e)
				}
				if took := time.Since(began); took > addressInterval {
					f.Errorf("it took %s, want one interval", took)
				}
				if got := f.archived("mysql-bin.000001"); !bytes.Equal(got, want) {
					f.Errorf("%d bytes are archived, %d were read", len(got), len(want))
				}
				f.committedAll()
			})
		})
	}
}

// A side look that fails for another reason says so once, and ends nothing.
func TestSideLookFails(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.source.Deny(true)
		time.Sleep(5 * addressInterval)
		if got := strings.Count(f.log.String(), "cannot look whose"); got != 1 {
			f.Errorf("it was said %d times:\n%s", got, f.log)
		}
		f.source.Deny(false)
		f.source.Commit(100)
		f.catchUp(d)
		f.stop(d)
		f.sameAsSource()
	})
}
