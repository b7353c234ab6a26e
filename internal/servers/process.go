package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startTimeout = 60 * time.Second      // of a server, when the caller's context has no deadline
	stopTimeout  = 60 * time.Second      // of an orderly stop
	pollInterval = 10 * time.Millisecond // between two looks at a server that is starting
)

// process is a server's program, which can be started again and again. Its methods may be called at any time, from
// any goroutine; Kill also ends a start that is under way.
type process struct {
	name    string                      // in errors
	command func() *exec.Cmd            // a new one for each start
	ready   func(context.Context) error // nil once the server answers
	log     string                      // file that its output is appended to
	pidFile string                      // names the process of the last start, for StopDetached
	detach  bool

	mu  sync.Mutex
	run *run // the last start, nil before the first
}

// run is one life of a process.
type run struct {
	process *os.Process
	done    chan struct{} // closed when it has ended and its exit status was taken
	status  int           // valid once done is closed: as of os.ProcessState.ExitCode
}

// Start starts the server and waits until it answers, at most a minute unless ctx has a deadline. A server that does
// not answer is killed, and the error holds the end of its log.
func (p *process) Start(ctx context.Context) error {
	r, err := p.spawn()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := p.await(ctx, r); err != nil {
		p.Kill()
		return fmt.Errorf("start %s: %w; its log %s ends with:\n%s", p.name, err, p.log, p.logTail())
	}
	return nil
}

func (p *process) spawn() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil && !p.run.ended() {
		return nil, errors.New("it is running")
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own keeps a terminal's Ctrl-C from the server, which its owner stops in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.detach {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	r, err := start(cmd)
	if err != nil {
		return nil, err
	}
	p.run = r
	return r, writePidFile(p.pidFile, r.process.Pid)
}

// start starts cmd on a thread that lives until cmd has ended: Pdeathsig strikes when the parent's thread ends, not
// only when the parent does.
func start(cmd *exec.Cmd) (*run, error) {
	r := &run{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in its status and log
			r.status = cmd.ProcessState.ExitCode()
			close(r.done)
		}
	}()
	err := <-started
	r.process = cmd.Process
	return r, err
}

func (p *process) await(ctx context.Context, r *run) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.done:
			return errors.New("it ended before it answered")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Kill ends the server at once (SIGKILL) and returns when it is gone. A server that does not run stays as it is.
func (p *process) Kill() {
	if r := p.last(); r != nil {
		r.process.Signal(syscall.SIGKILL) // an error says that it has ended
		<-r.done
	}
}

// Stop ends the server in order (SIGTERM), a paused one too, and returns when it is gone. A server that has not
// ended after a minute is killed, and that is an error.
func (p *process) Stop() error {
	r := p.last()
	if r == nil || r.ended() {
		return nil
	}
	r.process.Signal(syscall.SIGTERM)
	r.process.Signal(syscall.SIGCONT)
	select {
	case <-r.done:
		return nil
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("stop %s: killed, after it went on for %s", p.name, stopTimeout)
	}
}

// Pause suspends the server (SIGSTOP): it keeps its connections and answers nothing. It returns when every thread
// has stopped.
func (p *process) Pause() error {
	r := p.last()
	if !p.Running() {
		return fmt.Errorf("pause %s: it is not running", p.name)
	}
	if err := r.process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause %s: %w", p.name, err)
	}
	for {
		err := unix.Waitid(unix.P_PID, r.process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("pause %s: %w", p.name, err)
		}
	}
}

// Continue lets a paused server go on (SIGCONT).
func (p *process) Continue() error {
	r := p.last()
	if !p.Running() {
		return fmt.Errorf("continue %s: it is not running", p.name)
	}
	if err := r.process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue %s: %w", p.name, err)
	}
	return nil
}

// Running reports whether the server's process exists, a paused one included.
func (p *process) Running() bool {
	r := p.last()
	return r != nil && !r.ended()
}

// Pid returns the process id of the server's last start, 0 before the first.
func (p *process) Pid() int {
	if r := p.last(); r != nil {
		return r.process.Pid
	}
	return 0
}

// Log returns the path of the file that holds the server's output over all its starts.
func (p *process) Log() string { return p.log }

func (p *process) last() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

func (p *process) logTail() []byte {
	const size = 2048 // bytes
	log, _ := os.ReadFile(p.log)
	return bytes.TrimSpace(log[max(0, len(log)-size):])
}
