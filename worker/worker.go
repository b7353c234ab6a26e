package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"runtime"
	"sync"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// Config is what a Worker needs.
type Config struct {
	// ServerID names this worker; no two live workers may share it.
	ServerID string
	// ZooKeeper is where the tasks are.
	ZooKeeper coord.Config
	// Tasks are the patterns (as path.Match has them) of the tasks to serve.
	// None: every task.
	Tasks []string
	// OpenStore returns the store that an archive's URL names.
	OpenStore func(url string) (archive.Store, error)
	// ResolvePassword returns the password that a task's reference gives on this
	// machine, and warnings. It is asked at every connection. An error may be a
	// *secret.NotAllowedError.
	ResolvePassword func(ref string) (password string, warnings []string, err error)
	// DialSource opens a connection to a source. Default net.Dialer's.
	DialSource func(ctx context.Context, network, address string) (net.Conn, error)
	// Version and Listen are published in /workers.
	Version, Listen string
	// Logger receives changes of role and what goes wrong, each once.
	Logger zerolog.Logger
}

// Worker serves tasks. Make one with New.
type Worker struct {
	cfg     Config
	log     zerolog.Logger
	started time.Time

	compressor *archive.Compressor // of all tasks
	sweeping   chan struct{}       // held by the task whose archive is swept
	meters     *meters
	bounds     bounds

	// ended holds, by task, the end of the newest member. A later member waits for
	// it: one process never has two terms of one task at a time.
	ended   map[string]chan struct{}
	members sync.WaitGroup
	served  served // Run's own

	mu    sync.Mutex
	ready error // why this worker can serve nothing now; nil: it can
}

// New returns a Worker that is not running yet. It does no I/O.
func New(cfg Config) (*Worker, error) {
	if err := zkpaths.CheckServerID(cfg.ServerID); err != nil {
		return nil, err
	}
	for _, pattern := range cfg.Tasks {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("task pattern %q: %w", pattern, err)
		}
	}
	w := &Worker{
		cfg:     cfg,
		log:     cfg.Logger.With().Str("server_id", cfg.ServerID).Logger(),
		started: time.Now(),

		compressor: archive.NewCompressor(),
		sweeping:   make(chan struct{}, 1),
		bounds:     defaultBounds,
		ended:      map[string]chan struct{}{},
		served:     served{known: map[string]bool{}, vanished: map[string]bool{}},
		ready:      errors.New("no ZooKeeper session yet"),
	}
	w.meters = newMeters(w)
	return w, nil
}

// Ready returns nil while the worker holds a ZooKeeper session and is connected,
// else the reason.
func (w *Worker) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready
}

func (w *Worker) setReady(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = err
}

// Run serves tasks until ctx ends, then hands every term over and returns nil.
// It returns an error only when trying again cannot help: another live worker
// has the same server id, or ZooKeeper refuses what a worker does. No goroutine
// outlives it.
func (w *Worker) Run(ctx context.Context) error {
	defer w.members.Wait()
	var sess *coord.Session
	var own []int64 // this process's sessions, the live one last
	for ctx.Err() == nil {
		if sess == nil {
			var err error
			if sess, err = coord.Open(ctx, w.cfg.ZooKeeper); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		own = append(own, sess.ID())
		if err := sess.RegisterWorker(ctx, w.node(), own[:len(own)-1]); err != nil {
			over := sess.Err() != nil
			sess.Close()
			if ctx.Err() != nil {
				return nil
			}
			if !over {
				return err
			}
			w.log.Warn().Err(err).Msg("session ended before the worker was registered")
			sess = nil
			continue
		}
		w.setReady(nil)
		next := w.serve(ctx, sess)
		w.meters.sessionEnded(sess.Err())
		w.setReady(errors.New("no ZooKeeper session"))
		sess.Close()
		sess = next
	}
	if sess != nil {
		sess.Close()
	}
	return nil
}

// node is what this worker publishes of itself. Only Run calls it.
func (w *Worker) node() zkpaths.Worker {
	host, _ := os.Hostname()
	return zkpaths.Worker{
		ServerID: w.cfg.ServerID, Host: host, PID: os.Getpid(), CPUs: runtime.NumCPU(),
		Version: w.cfg.Version, Listen: w.cfg.Listen, StartedAt: zkpaths.At(w.started), Vanished: w.served.names(),
	}
}

func (w *Worker) instance() zkpaths.Instance {
	host, _ := os.Hostname()
	return zkpaths.Instance{ServerID: w.cfg.ServerID, Host: host, PID: os.Getpid(), Version: w.cfg.Version, StartedAt: zkpaths.At(w.started)}
}

// serve keeps a member in the line of every matching task, in one session. It
// returns when ctx has ended and the members have left in good order, or when the
// session is over or to be replaced; then it has told the members to drop
// everything, and the next session's wait for them.
func (w *Worker) serve(ctx context.Context, sess *coord.Session) (next *coord.Session) {
	f := &fleet{w: w, sess: sess, stops: map[string]context.CancelFunc{}}
	f.alive, f.abort = context.WithCancel(context.WithoutCancel(ctx))
	defer f.abort()

	following, unfollow := context.WithCancel(ctx)
	defer unfollow()
	tasks := sess.FollowTasks(following)
	replaced := w.replace(following, sess)
	for {
		select {
		case <-ctx.Done():
			f.handOver()
			unfollow()
			if late := <-replaced; late != nil {
				late.Close()
			}
			return nil
		case <-sess.Done():
			f.abort()
			w.log.Warn().Err(sess.Err()).Msg("ZooKeeper session is over")
			unfollow()
			return <-replaced
		case s := <-replaced:
			if s == nil {
				continue // ctx or the session has ended
			}
			w.log.Warn().Msg("another ZooKeeper session stands; leaving the one that is cut off")
			return s
		case list, ok := <-tasks:
			if !ok {
				tasks = nil
				continue
			}
			f.follow(ctx, list)
		}
	}
}

// replace tries a new session beside sess once sess has been disconnected for
// three timeouts: an ensemble that was restored from a backup refuses the old
// one for ever. The open dumps go on meanwhile. It sends that session, or nil when
// ctx or sess has ended first.
func (w *Worker) replace(ctx context.Context, sess *coord.Session) <-chan *coord.Session {
	replaced := make(chan *coord.Session, 1)
	w.members.Go(func() {
		defer close(replaced)
		for {
			changed := sess.Changed()
			cut := sess.Disconnected()
			if cut > 0 {
				w.setReady(fmt.Errorf("disconnected from ZooKeeper for %s", cut.Round(time.Second)))
			} else {
				w.setReady(nil)
			}
			var due <-chan time.Time
			if cut > 0 {
				due = time.After(max(3*sess.Timeout()-cut, time.Second))
			}
			select {
			case <-ctx.Done():
				return
			case <-sess.Done():
				return
			case <-changed:
			case <-due:
				if s := w.openBeside(ctx, sess); s != nil {
					replaced <- s
					return
				}
			}
		}
	})
	return replaced
}

// openBeside opens a new session while sess stays cut off. It returns nil when
// sess is connected again or over, or ctx has ended. After an outage both may be
// granted at once: then sess, with its terms and dumps, is the one to keep.
func (w *Worker) openBeside(ctx context.Context, sess *coord.Session) *coord.Session {
	trying, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		defer cancel()
		awaitConnection(trying, sess)
	})
	defer watch.Wait()
	defer cancel()
	s, err := coord.Open(trying, w.cfg.ZooKeeper)
	if err != nil {
		return nil
	}
	grace, end := context.WithTimeout(trying, sess.Timeout())
	defer end()
	awaitConnection(grace, sess)
	if sess.Disconnected() == 0 || sess.Err() != nil || ctx.Err() != nil {
		s.Close()
		return nil
	}
	return s
}

// awaitConnection waits until sess is connected or over, or ctx ends.
func awaitConnection(ctx context.Context, sess *coord.Session) {
	for {
		changed := sess.Changed()
		if sess.Disconnected() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-sess.Done():
			return
		case <-changed:
		}
	}
}

// matches reports whether this worker is to serve the task.
func (w *Worker) matches(task string) bool {
	if len(w.cfg.Tasks) == 0 {
		return true
	}
	for _, pattern := range w.cfg.Tasks {
		if ok, _ := path.Match(pattern, task); ok {
			return true
		}
	}
	return false
}
