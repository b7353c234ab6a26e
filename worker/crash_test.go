package worker

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

func TestCrashesInARow(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var c crashes
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Second, 2}, {time.Minute, 3}, {calm - 1, 4}, {calm, 1}, {time.Second, 2}, {24 * time.Hour, 1}} {
		at = at.Add(step.after)
		if c = c.next(at); c.inARow != step.want || c.last != at {
			t.Errorf("panic %d, %s after the one before: %+v, want %d in a row", i+1, step.after, c, step.want)
		}
	}
}

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
	stages := map[string]func(*dump, *oneEvent, *pipeline){
		"read":       func(_ *dump, s *oneEvent, _ *pipeline) { s.panics = true },
		"compress":   func(d *dump, _ *oneEvent, _ *pipeline) { d.t.m.w.compressor = nil },
		"store":      func(d *dump, _ *oneEvent, _ *pipeline) { d.t.t = nil },
		"checkpoint": func(_ *dump, _ *oneEvent, p *pipeline) { p.again() },
		"watch":      func(d *dump, _ *oneEvent, _ *pipeline) { d.t.m.w.bounds.address = time.Millisecond },
	}
	for stage, spoil := range stages {
		t.Run(stage, func(t *testing.T) {
			w := &Worker{compressor: archive.NewCompressor(), bounds: defaultBounds}
			d := &dump{
				t:        &term{m: &member{w: w}},
				spec:     zkpaths.Spec{SegmentSize: 1 << 20},
				progress: progress{advanced: make(chan struct{})},
			}
			d.working, d.abort = context.WithCancelCause(t.Context())
			d.reading, d.stop = context.WithCancel(d.working)
			defer d.abort(nil)
			if stage == "read" || stage == "compress" || stage == "store" {
				d.spec.FlushInterval = zkpaths.Duration(time.Millisecond)
			} else {
				d.spec.FlushInterval = zkpaths.Duration(time.Hour)
			}
			s := &oneEvent{ctx: d.reading, given: stage == "checkpoint" || stage == "watch"}
			p := newPipeline(d, nil, archive.End{}, s, newCutter(archive.End{}))
			spoil(d, s, p)
			ended := make(chan error, 1)
			go func() { ended <- p.run() }()
			select {
			case err := <-ended:
				if p := panicked(err); p == nil || !strings.Contains(string(p.Stack), "."+stage+"(") {
					t.Errorf("%v", err)
				}
				if e := judgeEnd(err); e.kind != endedByPanic || e.reason != reasonPanic || e.hint == "" {
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

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}
