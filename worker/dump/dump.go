package dump

import (
	"context"
	"errors"
	"net"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/guard"
	"binkeeper/internal/secret"
	"binkeeper/internal/taskspec"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// Config is what one attempt needs. Every field is needed, but for Dial and Before.
type Config struct {
	Task     string
	Spec     zkpaths.Spec // as it is when the attempt begins
	ServerID string       // of this worker: what is appended bears it
	Before   Before

	Term     Term
	Observer Observer
	Progress *Progress // a new one: see NewProgress

	// OpenStore returns the store that an archive's URL names.
	OpenStore func(url string) (archive.Store, error)
	// ResolvePassword returns the password that a reference means, and warnings, each
	// one sentence.
	ResolvePassword func(ref string) (password string, warnings []string, err error)
	// Dial opens a connection to the source. Default net.Dialer's.
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	Compressor *archive.Compressor
	// Sweeping is held, by sending to it, by the one dump of all that share it whose
	// archive is being swept.
	Sweeping chan struct{}
	Bounds   Bounds
	Logger   zerolog.Logger
}

// Bounds are the times that a dump goes by.
type Bounds struct {
	// Address is how often it asks its source's address who answers.
	Address time.Duration
	// SecondLook is how long after a walk that has come to less than the checkpoint the
	// second one begins, which is believed. Caches of NFS clients last some seconds.
	SecondLook time.Duration
}

// Before is what is known of the attempts before this one.
type Before struct {
	// Known is the file that the task's status says the archive has come to, or "".
	Known string
	// Walked says that the term has brought the checkpoint to the chain's end before.
	Walked bool
	// Swept says that what dead writers had left in the archive has been removed in this
	// term.
	Swept bool
	// Found is the reason for a new timeline that only the stream has shown, to the
	// attempt before this one, or "".
	Found string
	// Torn says that the attempt before this one took all that is whole of the file in
	// which the archive ends, and the source could send no more of it.
	Torn bool
	// Corrupt is the fault in what the source sent with which the attempt before this
	// one ended, or nil.
	Corrupt *source.CorruptError
}

// A Term is the time as primary that a dump is for. Its writes are fenced: they fail
// with coord.ErrFenced once another worker is primary, and with coord.ErrDisconnected
// while ZooKeeper is away.
type Term interface {
	Number() int64
	// Last is the checkpoint as this term knows it.
	Last() zkpaths.LastCommit
	// Commit moves the checkpoint.
	Commit(ctx context.Context, next zkpaths.LastCommit) error
	// Barrier proves that the term is not over.
	Barrier(ctx context.Context) error
	// Changed returns a channel that is closed when the connection to ZooKeeper comes
	// or goes.
	Changed() <-chan struct{}
}

// An Observer is told what a dump comes across.
type Observer interface {
	// SawTimelines is told the timelines that the archive has.
	SawTimelines([]archive.Timeline)
	// BeganTimeline is told the one that the dump has begun.
	BeganTimeline(archive.Timeline)
	// Warn is told what an operator should hear, each one sentence, at every connection.
	Warn([]string)
}

// A Dump is one attempt, under way or over.
type Dump struct {
	cfg      Config
	progress *Progress
	walked   bool          // the checkpoint has been brought to the chain's end
	swept    bool          // what dead writers had left in the archive has been removed
	server   source.Server // who answered when the dump began
	seen     string        // its identity, "" while no server has answered; to be read after done

	reading context.Context    // ends when no more is to be read
	stop    context.CancelFunc // ends reading; what was read is stored and committed
	working context.Context    // ends when everything is to be dropped
	abort   context.CancelCauseFunc

	from   archive.End   // where the stream goes on; to be read after opened
	opened chan struct{} // closed when the stream is open and proven
	done   chan struct{} // closed when nothing of the dump runs any more
	err    error         // why it ended; to be read after done
}

// Start begins an attempt that lives no longer than ctx.
func Start(ctx context.Context, cfg Config) *Dump {
	d := &Dump{cfg: cfg, progress: cfg.Progress, walked: cfg.Before.Walked, swept: cfg.Before.Swept, opened: make(chan struct{}), done: make(chan struct{})}
	d.working, d.abort = context.WithCancelCause(ctx)
	d.reading, d.stop = context.WithCancel(d.working)
	go func() {
		defer close(d.done)
		defer d.abort(nil)
		d.err = guard.Call(d.run)
		if d.err != nil && d.reading.Err() != nil && errors.Is(d.err, context.Canceled) {
			d.err = nil // it was told to
		}
	}()
	return d
}

// Done is closed once nothing of the attempt runs any more.
func (d *Dump) Done() <-chan struct{} { return d.done }

// Stop ends the reading. What has been read is archived and committed before Done.
func (d *Dump) Stop() { d.stop() }

// Abort drops everything at once.
func (d *Dump) Abort() { d.abort(ErrTermOver) }

// Works is closed once the attempt is known to work: when the stream is open, or, where
// that has proved nothing before, when it has come to something.
func (d *Dump) Works(doubted bool) <-chan struct{} {
	if doubted {
		return d.progress.advanced
	}
	return d.opened
}

// Progress is how far the attempt has come.
func (d *Dump) Progress() *Progress { return d.progress }

// From is where the archive goes on. It is to be asked after Works.
func (d *Dump) From() archive.End { return d.from }

// Stale reports whether an attempt by today's spec would be another one.
func (d *Dump) Stale(spec zkpaths.Spec) bool { return inputsOf(d.cfg.Spec) != inputsOf(spec) }

// Spec is the spec that the attempt goes by.
func (d *Dump) Spec() zkpaths.Spec { return d.cfg.Spec }

// inputs is what an attempt depends on in a spec.
type inputs struct {
	source, passwordRef, archive, taskUID, replicaUUID string
	replicaServerID                                    uint32
	segmentSize                                        int64
	flushInterval, checkpointInterval                  zkpaths.Duration
}

func inputsOf(s zkpaths.Spec) inputs {
	return inputs{
		source: s.Source, passwordRef: s.PasswordRef, archive: s.Archive, taskUID: s.TaskUID, replicaUUID: s.ReplicaUUID,
		replicaServerID: s.ReplicaServerID, segmentSize: s.SegmentSize, flushInterval: s.FlushInterval, checkpointInterval: s.CheckpointInterval,
	}
}

func (d *Dump) flushInterval() time.Duration { return time.Duration(d.cfg.Spec.FlushInterval) }

func (d *Dump) run() error {
	if err := taskspec.Check(d.cfg.Spec); err != nil {
		return BlockedBySpec(d.cfg.Task, err)
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
	d.seen = s.Server.Identity().String()
	if lacking := lacking(s); lacking != nil && !accepted(s, archive.ReasonDiverged) {
		if s.Server, err = conn.AwaitExecuted(d.reading, lacking); err != nil {
			return err
		}
	}
	d.server = s.Server
	d.progress.sawFiles(s.Files)
	plan, err := planFor(s)
	if err != nil {
		return err
	}
	if err := d.prove(d.reading, arch); err != nil {
		return err
	}
	stream, err := conn.Dump(d.reading, plan.Start)
	if refused := (*source.GTIDModeError)(nil); errors.As(err, &refused) {
		stream, err = d.dumpBehindGTID(arch, s.End, plan.Start, err)
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	c := newSegmenter(s.End)
	end, err := d.settle(arch, s, plan, stream, c)
	if err != nil {
		return err
	}
	d.progress.reached(end, time.Time{})
	d.progress.opened()
	d.from = end
	close(d.opened)
	return newPipeline(d, arch, end, stream, c).run()
}

// connect opens a connection to the source, with the password as it is now.
func (d *Dump) connect(ctx context.Context) (*source.Conn, error) {
	target, err := source.ParseURL(d.cfg.Spec.Source)
	if err != nil {
		return nil, BlockedBySpec(d.cfg.Task, err)
	}
	password, warnings, err := d.cfg.ResolvePassword(d.cfg.Spec.PasswordRef)
	if refused := (*secret.NotAllowedError)(nil); errors.As(err, &refused) {
		return nil, Blocked(zkpaths.BlockedNotAllowed, err, refused.Hint())
	} else if err != nil {
		return nil, err
	}
	conn, err := source.Connect(ctx, target, source.Options{
		Password: password, ReplicaUUID: d.cfg.Spec.ReplicaUUID, ReplicaServerID: d.cfg.Spec.ReplicaServerID,
		Arrived: &d.progress.calls, Together: d.cfg.Spec.SegmentSize, Dial: d.cfg.Dial,
	})
	if err == nil && conn.Warning() != "" {
		warnings = append(warnings, conn.Warning())
	}
	d.cfg.Observer.Warn(warnings)
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
