package worker

import (
	"context"
	"errors"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/guard"
	"binkeeper/internal/secret"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// A dump is one attempt to archive: it finds the chain's end, connects to the
// source, proves that the source continues what is archived, and then takes the
// stream through the pipeline until it is told to stop or something fails.
type dump struct {
	t        *term
	spec     zkpaths.Spec         // as it was when the dump began
	known    string               // the file that the status says the archive has come to, or ""
	found    string               // what the term's last dump found in the stream: see scene
	torn     bool                 // the same
	corrupt  *source.CorruptError // the fault that the term's last dump ended with, or nil
	log      zerolog.Logger
	progress progress
	server   source.Server // who answered when the dump began
	seen     string        // its identity, "" while nobody has answered; to be read after done

	reading context.Context    // ends when no more is to be read
	stop    context.CancelFunc // ends reading; what was read is stored and committed
	working context.Context    // ends when everything is to be dropped
	abort   context.CancelCauseFunc

	from   archive.End   // where the stream goes on; to be read after opened
	opened chan struct{} // closed when the stream is open and proven
	done   chan struct{} // closed when nothing of the dump runs any more
	err    error         // why it ended; to be read after done
}

// startDump begins a dump that lives no longer than ctx.
func startDump(ctx context.Context, t *term) *dump {
	d := &dump{
		t: t, spec: t.m.spec.Spec, known: t.status.File, found: t.found, torn: t.torn, corrupt: t.corrupt, log: t.log,
		opened: make(chan struct{}), done: make(chan struct{}),
		progress: progress{advanced: make(chan struct{})},
	}
	d.working, d.abort = context.WithCancelCause(ctx)
	d.reading, d.stop = context.WithCancel(d.working)
	t.m.tally.begin(&d.progress)
	go func() {
		defer close(d.done)
		defer t.m.tally.end()
		defer d.abort(nil)
		d.err = guard.Call(d.run)
		if d.err != nil && d.reading.Err() != nil && errors.Is(d.err, context.Canceled) {
			d.err = nil // it was told to
		}
	}()
	return d
}

// works returns what is closed once the dump is known to work: when it is open, or,
// where that has proved nothing before, when it has come to something.
func (d *dump) works(doubted bool) <-chan struct{} {
	if doubted {
		return d.progress.advanced
	}
	return d.opened
}

// disproved reports whether the dump's end shows that being open proves nothing: the
// store refuses what comes, what comes is of no use, or it comes to what an operator must
// decide. To be asked after done.
func (d *dump) disproved(e ending) bool {
	if e.kind != endedByTrouble && e.kind != endedTorn && e.kind != endedBlocked || !d.progress.isOpen() {
		return false
	}
	select {
	case <-d.progress.advanced:
		return e.reason == reasonStore || e.kind == endedBlocked || e.kind == endedTorn
	default:
		return true
	}
}

// stale reports whether a dump of today's spec would be another one.
func (d *dump) stale(spec zkpaths.Spec) bool {
	a, b := d.spec, spec
	return a.Source != b.Source || a.PasswordRef != b.PasswordRef || a.Archive != b.Archive || a.TaskUID != b.TaskUID ||
		a.SegmentSize != b.SegmentSize || a.FlushInterval != b.FlushInterval || a.CheckpointInterval != b.CheckpointInterval ||
		a.ReplicaUUID != b.ReplicaUUID || a.ReplicaServerID != b.ReplicaServerID
}

func (d *dump) flushInterval() time.Duration { return time.Duration(d.spec.FlushInterval) }

func (d *dump) run() error {
	if err := checkSpec(d.spec); err != nil {
		return blockedBySpec(d.t.m.task, err)
	}
	arch, s, err := d.findEnd(d.reading)
	if err != nil {
		return err
	}
	d.progress.reached(s.End, time.Time{})
	conn, err := d.connect(d.reading)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.Server, s.Files, err = look(d.reading, conn); err != nil {
		return err
	}
	d.seen = s.Server.Identity()
	if lacking := lacking(s); lacking != nil && !accepted(s, archive.ReasonDiverged) {
		if s.Server, err = conn.AwaitExecuted(d.reading, lacking); err != nil {
			return err
		}
	}
	d.server = s.Server
	d.progress.sawFiles(s.Files)
	course, err := judge(s)
	if err != nil {
		return err
	}
	if err := d.prove(d.reading, arch); err != nil {
		return err
	}
	stream, err := conn.Dump(d.reading, course.Start)
	if refused := (*source.GTIDModeError)(nil); errors.As(err, &refused) {
		stream, err = d.dumpBehindGTID(arch, s.End, course.Start, err)
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	c := newCutter(s.End)
	end, err := d.settle(arch, s, course, stream, c)
	if err != nil {
		return err
	}
	d.progress.reached(end, time.Time{})
	d.progress.opened()
	d.from = end
	close(d.opened)
	return newPipeline(d, arch, end, stream, c).run()
}

// findEnd opens the archive, walks to its chain's end and makes that durable: what
// can be read may be lost in a crash yet. The commit of that end is the barrier: it proves that this is still the primary's term, and
// raises the term above every one in the archive.
func (d *dump) findEnd(ctx context.Context) (*archive.Archive, scene, error) {
	s := scene{Spec: d.spec, Last: d.t.t.Last(), Found: d.found, Torn: d.torn}
	store, err := d.t.m.openStore(d.spec.Archive)
	if refused := (*archive.StoreError)(nil); err != nil && !errors.As(err, &refused) {
		return nil, s, blockedBySpec(d.t.m.task, err) // no store was asked: the URL names none
	}
	if err != nil {
		return nil, s, err
	}
	arch := archive.New(countingStore{store, &d.progress.calls}, d.t.m.task)
	if err := d.checkOwner(ctx, arch, s.Last); err != nil {
		return nil, s, err
	}
	if s.End, err = d.walk(ctx, arch, s.Last); err != nil {
		return nil, s, err
	}
	if s.End.Timeline > 0 {
		timelines, err := arch.Timelines(ctx)
		if err != nil {
			return nil, s, err
		}
		s.Timeline = timelines[len(timelines)-1]
		d.t.m.tally.sawTimelines(timelines)
	}
	if err := arch.Sync(ctx, s.End); err != nil {
		return nil, s, err
	}
	next := checkpointAt(s.End)
	if s.End.Timeline == 0 {
		next = s.Last // how far an archive that is lost had come, until a first timeline has it
	}
	if s.End.Term > d.t.t.Number() || s.End.Term == d.t.t.Number() && !d.t.walked {
		next.Term = s.End.Term + 1
	}
	if err := d.t.commit(ctx, next); err != nil {
		return nil, s, err
	}
	d.t.walked = true
	s.Last = next
	return arch, s, nil
}

// walk finds the chain's end, which is not before the checkpoint unless the
// operator says so. A store may be slow to show what it holds: only a second look,
// some seconds later, is believed.
func (d *dump) walk(ctx context.Context, arch *archive.Archive, last zkpaths.LastCommit) (archive.End, error) {
	hint := hintAt(last)
	end, err := arch.Walk(ctx, hint)
	if behind := (*archive.BehindError)(nil); errors.As(err, &behind) {
		if err := d.awaitSecondLook(ctx); err != nil {
			return end, err
		}
		end, err = arch.Walk(ctx, hint)
	}
	if behind := (*archive.BehindError)(nil); errors.As(err, &behind) {
		if !acceptedArchive(d.spec, last) {
			return end, blockedBehind(err)
		}
		end, err = arch.Walk(ctx, nil)
	}
	if errors.Is(err, archive.ErrNoTimeline) {
		return archive.End{}, nil
	}
	return end, err
}

func (d *dump) awaitSecondLook(ctx context.Context) error {
	select {
	case <-time.After(d.t.m.w.bounds.secondLook):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acceptedArchive reports whether the operator wants to go on from the archive's end,
// which is before the checkpoint. No server has been asked by then.
func acceptedArchive(spec zkpaths.Spec, last zkpaths.LastCommit) bool {
	return spec.Accept.Answers(zkpaths.AcceptArchive, zkpaths.BlockedArchiveBehind, "", last)
}

func blockedBehind(err error) error {
	return blocked(zkpaths.BlockedArchiveBehind, err,
		"mend the store (is it the shared folder, mounted, the right URL?); or go on from what is there: binkeeper task resume ID --accept-archive")
}

// connect opens a connection to the source, with the password as it is now.
func (d *dump) connect(ctx context.Context) (*source.Conn, error) {
	target, err := source.ParseURL(d.spec.Source)
	if err != nil {
		return nil, blockedBySpec(d.t.m.task, err)
	}
	password, warnings, err := d.t.m.w.cfg.ResolvePassword(d.spec.PasswordRef)
	if refused := (*secret.NotAllowedError)(nil); errors.As(err, &refused) {
		return nil, blocked(zkpaths.BlockedNotAllowed, err, refused.Hint())
	} else if err != nil {
		return nil, err
	}
	conn, err := source.Connect(ctx, target, source.Options{
		Password: password, ReplicaUUID: d.spec.ReplicaUUID, ReplicaServerID: d.spec.ReplicaServerID,
		Arrived: &d.progress.calls, Together: d.spec.SegmentSize,
	})
	if err == nil && conn.Warning() != "" {
		warnings = append(warnings, conn.Warning())
	}
	d.t.warn(warnings)
	return conn, err
}

// look asks who answers, and which binlog files it has. The files come first: where the
// oldest is purged in between, gtid_purged is of a file that no dump begins with.
func look(ctx context.Context, conn *source.Conn) (source.Server, []source.BinlogFile, error) {
	files, err := conn.BinlogFiles(ctx)
	if err == nil && len(files) == 0 {
		err = errNoFiles
	}
	if err != nil {
		return source.Server{}, nil, err
	}
	server, err := conn.Server(ctx)
	return server, files, err
}

// checkpointAt is the checkpoint of a chain's end.
func checkpointAt(end archive.End) zkpaths.LastCommit {
	c := zkpaths.LastCommit{Timeline: end.Timeline, File: end.File, Position: end.Offset}
	if end.GTIDSet != nil {
		c.SetGTIDSet(end.GTIDSet.String())
	}
	if end.HasLast {
		c.SegmentFile, c.SegmentStart, c.SegmentEnd = end.Last.File, end.Last.Start, end.Last.End
		if t := end.Last.LastEventTime; t != nil {
			c.EventTime = zkpaths.At(*t)
		}
	}
	return c
}

// hintAt is where a walk that knows a checkpoint begins, nil at the beginning.
func hintAt(c zkpaths.LastCommit) *archive.Hint {
	switch {
	case c.Timeline == 0:
		return nil
	case c.SegmentFile == "":
		return &archive.Hint{Timeline: c.Timeline, File: c.File, SegmentStart: -1, Position: c.Position}
	}
	return &archive.Hint{
		Timeline: c.Timeline, File: c.SegmentFile, SegmentStart: c.SegmentStart, Position: c.SegmentEnd,
		GTIDSet: c.GTIDSet, GTIDSetOmitted: c.GTIDOmitted,
	}
}
