package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ProgramOptions say what program to start, and where. Name, Dir and Command are required.
type ProgramOptions struct {
	// Name stands for the program in errors.
	Name string
	// Dir is a folder of the program's own, made when missing. It holds its log.
	Dir string
	// Command is the program's path and its arguments.
	Command []string
	// Env is added to the program's environment, as "NAME=value".
	Env []string
	// Ready returns nil once the program does its work. Default: it does so at once.
	Ready func(context.Context) error
	// Detach lets the program outlive this process; StopDetached(Dir) ends it.
	Detach bool
}

// Program is any program that runs beside the servers, as one of Binkeeper's own.
type Program struct {
	process
}

// StartProgram starts a program and waits until it is ready. Close it, whatever happens to it before.
func StartProgram(ctx context.Context, options ProgramOptions) (*Program, error) {
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", options.Name, err)
	}
	ready := options.Ready
	if ready == nil {
		ready = func(context.Context) error { return nil }
	}
	p := &Program{process{
		name: options.Name,
		command: func() *exec.Cmd {
			cmd := exec.Command(options.Command[0], options.Command[1:]...)
			cmd.Env = append(os.Environ(), options.Env...)
			return cmd
		},
		ready:   ready,
		log:     filepath.Join(options.Dir, "log"),
		pidFile: filepath.Join(options.Dir, pidFileName),
		detach:  options.Detach,
	}}
	return p, p.Start(ctx)
}

// Close kills the program. Its folder stays.
func (p *Program) Close() { p.Kill() }

// ExitCode returns the exit code of the program's last run: -1 while it runs, and when a signal ended it.
func (p *Program) ExitCode() int {
	if r := p.last(); r != nil && r.ended() {
		return r.status
	}
	return -1
}
