package dump

import (
	"fmt"
	"testing"
	"time"

	"binkeeper/archive/storetest"
)

// A waitingStage is one that an attempt is told to end in.
type waitingStage struct {
	*attemptFixture
	store *storetest.Outage
	board *switchboard
	hold  chan struct{} // for commits
}

// waitingStages begin an attempt, and return it when the stage is about to wait. Where heal is
// set, what was read is to be stored and committed before the attempt ends, which needs heal.
var waitingStages = []struct {
	name  string
	begin func(s *waitingStage) *Dump
	heal  func(s *waitingStage)
}{
	{"the look for the archive's end", func(s *waitingStage) *Dump { s.store.Hang(); return s.start() }, nil},
	{"the checkpoint at the archive's end", func(s *waitingStage) *Dump { s.term.hold = s.hold; return s.start() }, nil},
	{"the connection to the source", func(s *waitingStage) *Dump { s.board.turn(s.source, true); return s.start() }, nil},
	{"the stream", func(s *waitingStage) *Dump { return s.open() }, nil},
	{"the stream, with a young segment", func(s *waitingStage) *Dump { d := s.open(); s.source.Commit(100); return d }, nil},
	{"the store", func(s *waitingStage) *Dump {
		d := s.open()
		s.store.Hang()
		s.source.Commit(20 * segmentSize)
		s.produce(20, 0)
		return d
	}, func(s *waitingStage) { s.store.Heal() }},
	{"the checkpoint", func(s *waitingStage) *Dump {
		d := s.open()
		time.Sleep(2 * checkpointInterval)
		s.term.mu.Lock()
		s.term.hold = s.hold
		s.term.mu.Unlock()
		s.produce(3, 0)
		return d
	}, func(s *waitingStage) { close(s.hold) }},
}

// TestToldToEnd tells attempts to stop, or to drop everything, while one stage waits.
func TestToldToEnd(t *testing.T) {
	for _, stage := range waitingStages {
		for _, abort := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, at once: %t", stage.name, abort), func(t *testing.T) {
				withSource(t, func(f *attemptFixture) {
					f.source.Commit(100)
					f.goesOn()
					s := &waitingStage{f, storetest.NewOutage(f.T, f.folder), &switchboard{to: f.source}, make(chan struct{})}
					f.cfg.Dial = s.board.Dial
					f.storeIn(s.store)
					d := stage.begin(s)
					time.Sleep(time.Second)
					if abort {
						d.Abort()
						f.endedAtOnce(d)
						return
					}
					d.Stop()
					if stage.heal != nil {
						time.Sleep(time.Hour)
						select {
						case <-d.Done():
							f.Fatalf("it has ended without what it has read: %+v", d.Ending())
						default:
						}
						stage.heal(s)
					}
					f.endedAtOnce(d)
					if d.Progress().IsOpen() {
						f.committedAll()
						if flow := d.Progress().Flow(); flow.Received != flow.Archived {
							f.Errorf("%d bytes were read and %d are archived", flow.Received, flow.Archived)
						}
					}
				})
			})
		}
	}
}

// endedAtOnce checks that an attempt ends in order, and that no time passes until then.
func (f *attemptFixture) endedAtOnce(d *Dump) {
	f.Helper()
	began := time.Now()
	if e := f.ending(d); e.Kind != EndedInOrder || e.Err != nil {
		f.Errorf("it ended with %+v", e)
	}
	if took := time.Since(began); took != 0 {
		f.Errorf("it took %s", took)
	}
}
