package dump

import (
	"context"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/gtid"
	"binkeeper/internal/guard"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// oneEvent is a stream of one event, after which it waits for the end of its context.
type oneEvent struct {
	ctx    context.Context
	given  bool
	panics bool // in place of the second event
}

func (s *oneEvent) Next(buf []byte, until time.Time) ([]byte, *source.Event, error) {
	if !s.given {
		s.given = true
		return append(buf, make([]byte, 100)...), &source.Event{Kind: source.Data, Start: 0, End: 100}, nil
	}
	if s.panics {
		panic("the stream")
	}
	if !until.IsZero() {
		return buf, nil, source.ErrNotYet
	}
	<-s.ctx.Done()
	return buf, nil, s.ctx.Err()
}

func (s *oneEvent) Open() string                { return "" }
func (s *oneEvent) TakeCompleted() *gtid.Set    { return gtid.New(gtid.MySQL) }
func (s *oneEvent) Previous() (*gtid.Set, bool) { return nil, false }

// TestPanicInAStage lets each stage of a pipeline panic: run returns the panic, with its
// stack, once nothing of the pipeline runs any more.
func TestPanicInAStage(t *testing.T) {
	stages := map[string]func(*Dump, *oneEvent, *pipeline){
		"read":       func(_ *Dump, s *oneEvent, _ *pipeline) { s.panics = true },
		"compress":   func(d *Dump, _ *oneEvent, _ *pipeline) { d.cfg.Compressor = nil },
		"store":      func(d *Dump, _ *oneEvent, _ *pipeline) { d.cfg.Term = nil },
		"checkpoint": func(_ *Dump, _ *oneEvent, p *pipeline) { p.again() },
		"watch":      func(d *Dump, _ *oneEvent, _ *pipeline) { d.cfg.Bounds.Address = time.Millisecond },
	}
	for stage, spoil := range stages {
		t.Run(stage, func(t *testing.T) {
			d := &Dump{progress: NewProgress(), cfg: Config{
				Spec: zkpaths.Spec{SegmentSize: 1 << 20}, Compressor: archive.NewCompressor(), Bounds: Bounds{Address: time.Minute},
			}}
			d.working, d.abort = context.WithCancelCause(t.Context())
			d.reading, d.stop = context.WithCancel(d.working)
			defer d.abort(nil)
			if stage == "read" || stage == "compress" || stage == "store" {
				d.cfg.Spec.FlushInterval = zkpaths.Duration(time.Millisecond)
			} else {
				d.cfg.Spec.FlushInterval = zkpaths.Duration(time.Hour)
			}
			s := &oneEvent{ctx: d.reading, given: stage == "checkpoint" || stage == "watch"}
			p := newPipeline(d, nil, archive.End{}, s, newSegmenter(archive.End{}))
			spoil(d, s, p)
			ended := make(chan error, 1)
			go func() { ended <- p.run() }()
			select {
			case err := <-ended:
				if p := guard.Panicked(err); p == nil || !strings.Contains(string(p.Stack), "."+stage+"(") {
					t.Errorf("%v", err)
				}
				if e := classify(err); e.Kind != EndedByPanic || e.Reason != ReasonPanic || e.Hint == "" {
					t.Errorf("judged %+v", e)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the pipeline goes on")
			}
			if all := string(stacks()); strings.Contains(all, "(*pipeline)") {
				t.Errorf("still running:\n%s", all)
			}
		})
	}
}
