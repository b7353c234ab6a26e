package dump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/mysqltest"
	"binkeeper/zkpaths"
)

const (
	segmentSize        = 64 << 10
	flushInterval      = 10 * time.Second
	checkpointInterval = 3 * time.Second
	addressInterval    = 20 * time.Second // between two looks at who answers
)

// An attemptFixture is all that whole attempts need: a source in memory, an archive in a
// folder, and a term in the test. Everything runs in virtual time.
type attemptFixture struct {
	*testing.T
	source *mysqltest.Source
	folder archive.Store // what is stored, without the faults that cfg.OpenStore's may have
	term   *fakeTerm
	cfg    Config
	log    *attemptLog
}

// withSource runs a test of attempts in a bubble.
func withSource(t *testing.T, test func(f *attemptFixture)) {
	synctest.Test(t, func(t *testing.T) {
		folder, err := dirstore.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		f := &attemptFixture{T: t, source: mysqltest.New(mysqltest.Identity{UUID: uuidA, ServerID: 7}), folder: folder, log: new(attemptLog)}
		defer f.source.Close()
		f.term = &fakeTerm{number: 1, changed: make(chan struct{}), fixture: f}
		f.cfg = Config{
			Task: "orders", ServerID: "1", Term: f.term, Observer: ignoring{}, Dial: f.source.Dial, Compressor: archive.NewCompressor(),
			Spec: zkpaths.Spec{
				Source: "mysql://" + mysqltest.User + "@127.0.0.1:3306", PasswordRef: "env:PASSWORD", Archive: "file:///archive", Start: "earliest",
				SegmentSize: segmentSize, FlushInterval: zkpaths.Duration(flushInterval), CheckpointInterval: zkpaths.Duration(checkpointInterval),
				Desired: zkpaths.Running, TaskUID: "uid", ReplicaUUID: "11111111-1111-4111-8111-111111111111", ReplicaServerID: 99,
			},
			OpenStore:       func(string) (archive.Store, error) { return f.folder, nil },
			ResolvePassword: func(string) (string, []string, error) { return mysqltest.Password, nil, nil },
			Sweeping:        make(chan struct{}, 1),
			Bounds:          Bounds{Address: addressInterval, SecondLook: secondLook},
			Logger:          zerolog.New(f.log),
		}
		test(f)
	})
}

// storeIn lets the attempts to come use store.
func (f *attemptFixture) storeIn(store archive.Store) {
	f.cfg.OpenStore = func(string) (archive.Store, error) { return store, nil }
}

// start begins an attempt.
func (f *attemptFixture) start() *Dump {
	cfg := f.cfg
	cfg.Progress = NewProgress()
	return Start(f.Context(), cfg)
}

// open begins an attempt whose stream is open when it returns.
func (f *attemptFixture) open() *Dump {
	f.Helper()
	d := f.start()
	select {
	case <-d.Works(false):
	case <-d.Done():
		f.Fatalf("the attempt has ended: %+v", d.Ending())
	}
	return d
}

// ending waits for the end of an attempt, after which nothing of any may run any more.
func (f *attemptFixture) ending(d *Dump) Ending {
	f.Helper()
	e := f.over(d)
	synctest.Wait()
	for _, mine := range []string{"(*pipeline)", "(*Dump)", "binkeeper/worker/source."} {
		if all := string(stacks()); strings.Contains(all, mine) {
			f.Fatalf("the attempt has ended, and %s runs on:\n%s", mine, all)
		}
	}
	return e
}

// over waits for the end of an attempt. What the next one is to know of it, that knows.
func (f *attemptFixture) over(d *Dump) Ending {
	f.Helper()
	select {
	case <-d.Done():
	case <-time.After(time.Hour):
		f.Fatalf("after an hour the attempt goes on:\n%s", f.log)
	}
	e := d.Ending()
	b := &f.cfg.Before
	b.Walked, b.Swept = b.Walked || e.Walked, b.Swept || e.Swept
	b.Found, b.Torn, b.Corrupt = e.Found, e.TornHere, e.Corrupt
	return e
}

// stop ends an attempt in order.
func (f *attemptFixture) stop(d *Dump) {
	f.Helper()
	d.Stop()
	if e := f.ending(d); e.Kind != EndedInOrder || e.Err != nil {
		f.Fatalf("told to stop, it ended with %+v", e)
	}
}

// catchUp waits until all that the source has is archived.
func (f *attemptFixture) catchUp(d *Dump) {
	f.Helper()
	for range 600 {
		names := f.source.Files()
		newest := names[len(names)-1]
		if file, offset := d.Progress().end(); file == newest && offset == int64(len(f.source.File(newest))) {
			return
		}
		time.Sleep(time.Second)
	}
	file, offset := d.Progress().end()
	f.Fatalf("after ten minutes the archive ends in %s:%d", file, offset)
}

// end is where the archive ends.
func (f *attemptFixture) end() archive.End {
	f.Helper()
	end, err := archive.New(f.folder, f.cfg.Task).Walk(f.Context(), nil)
	if err != nil {
		f.Fatal(err)
	}
	return end
}

// archived returns a file's bytes as the archive's newest timeline has them.
func (f *attemptFixture) archived(file string) []byte {
	f.Helper()
	r, err := archive.New(f.folder, f.cfg.Task).Open(f.Context(), archive.Newest, file)
	if errors.Is(err, archive.ErrNotExist) {
		return nil
	}
	var data []byte
	if err == nil {
		defer r.Close()
		data, err = io.ReadAll(r)
	}
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// sameAsSource compares the archive to all that the source has, byte for byte.
func (f *attemptFixture) sameAsSource() {
	f.Helper()
	for _, file := range f.source.Files() {
		if got, want := f.archived(file), f.source.File(file); !bytes.Equal(got, want) {
			f.Errorf("%s: %d bytes are archived, the source has %d, and they differ", file, len(got), len(want))
		}
	}
	report, err := archive.New(f.folder, f.cfg.Task).Verify(f.Context(), hintAt(f.term.Last()))
	if err != nil || len(report.Problems) > 0 {
		f.Errorf("verify: %+v, %v", report.Problems, err)
	}
}

// committedAll checks that the checkpoint stands at the archive's end.
func (f *attemptFixture) committedAll() {
	f.Helper()
	if end, last := f.end(), f.term.Last(); last.File != end.File || last.Position != end.Offset || last.Timeline != end.Timeline {
		f.Errorf("the checkpoint is %s:%d, the archive ends in %s:%d", last.File, last.Position, end.File, end.Offset)
	}
}

// A fakeTerm is a term in memory. It fails the test when a checkpoint is committed before
// what it covers is stored.
type fakeTerm struct {
	fixture *attemptFixture

	mu       sync.Mutex
	number   int64
	last     zkpaths.LastCommit
	at       []time.Time // of the commits
	tried    int         // commits, those that failed included
	refusal  error       // of every write
	barriers int
	changed  chan struct{}
	hold     chan struct{} // until it is closed no commit ends; nil: none waits
}

func (t *fakeTerm) Number() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.number
}

func (t *fakeTerm) Last() zkpaths.LastCommit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *fakeTerm) Commit(ctx context.Context, next zkpaths.LastCommit) error {
	t.mu.Lock()
	hold := t.hold
	t.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried++
	if t.refusal != nil {
		return t.refusal
	}
	if next.Timeline > 0 {
		end, err := archive.New(t.fixture.folder, "orders").Walk(context.WithoutCancel(ctx), nil)
		if err != nil || end.Timeline < next.Timeline || archive.FileBefore(end.File, next.File) || end.File == next.File && end.Offset < next.Position {
			t.fixture.Errorf("%s:%d is committed, and the archive ends in %s (%v)", next.File, next.Position, end, err)
		}
	}
	t.number = max(t.number, next.Term)
	t.last = next
	t.at = append(t.at, time.Now())
	return nil
}

func (t *fakeTerm) Barrier(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.barriers++
	return t.refusal
}

func (t *fakeTerm) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// refuse makes every write fail with err, or none with nil, and says that the connection
// has changed.
func (t *fakeTerm) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal = err
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *fakeTerm) away() { t.refuse(coord.ErrDisconnected) }
func (t *fakeTerm) back() { t.refuse(nil) }

// commits are the times of the commits so far, and how many were tried.
func (t *fakeTerm) commits() (at []time.Time, tried int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(at, t.at...), t.tried
}

// An attemptLog is what attempts log. It may be read while they run.
type attemptLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *attemptLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *attemptLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type ignoring struct{}

func (ignoring) SawTimelines([]archive.Timeline) {}
func (ignoring) BeganTimeline(archive.Timeline)  {}
func (ignoring) Warn([]string)                   {}

// A switchboard connects to the source that it names now. From a dial that hangs, only the
// end of its context comes back.
type switchboard struct {
	mu    sync.Mutex
	to    *mysqltest.Source
	hangs bool
}

func (s *switchboard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	to, hangs := s.to, s.hangs
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return to.Dial(ctx, network, address)
}

func (s *switchboard) turn(to *mysqltest.Source, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to, s.hangs = to, hangs
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}
