// Package localstack runs Binkeeper's programs with a source and ZooKeeper on loopback, all in one folder: what the
// demo and `make up` have in common.
//
// It knows where everything lies, and how the programs are called. What happens between the programs, ending them
// and removing the folder are left to the caller.
package localstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"binkeeper/internal/servers"
)

// SessionTimeout is the workers': how long ZooKeeper waits for one that says nothing. It is shorter than their
// default, for an audience's sake.
const SessionTimeout = 4 * time.Second

// Stack says where everything is. Its zero ports have to be drawn before the first start, by [Stack.DrawPorts].
type Stack struct {
	Dir           string       // absolute
	Programs      string       // the folder of the built programs, absolute
	Kind          servers.Kind // of the source
	SourcePort    int          // on 127.0.0.1
	ZooKeeperPort int          // on 127.0.0.1
	Detach        bool         // whether what is started outlives this process
}

// DrawPorts sets the ports to free ones.
func (s *Stack) DrawPorts() (err error) {
	if s.SourcePort, err = servers.FreePort(); err != nil {
		return err
	}
	s.ZooKeeperPort, err = servers.FreePort()
	return err
}

// SourceDir is the folder of the source.
func (s *Stack) SourceDir() string { return filepath.Join(s.Dir, "source") }

// ZooKeeperDir is the folder of the one ZooKeeper server.
func (s *Stack) ZooKeeperDir() string { return filepath.Join(s.Dir, "zookeeper", "1") }

// WorkerDir is the folder of a worker, which holds its log.
func (s *Stack) WorkerDir(serverID string) string { return filepath.Join(s.Dir, "worker-"+serverID) }

// ArchiveDir is the archives' folder.
func (s *Stack) ArchiveDir() string { return filepath.Join(s.Dir, "archive") }

// SecretsDir is the folder of the source's password.
func (s *Stack) SecretsDir() string { return filepath.Join(s.Dir, "secrets") }

// SourceAddr is the source's address.
func (s *Stack) SourceAddr() string { return loopback(s.SourcePort) }

// ZooKeeperAddr is ZooKeeper's address.
func (s *Stack) ZooKeeperAddr() string { return loopback(s.ZooKeeperPort) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// StartSource starts the source, with further options of its server.
func (s *Stack) StartSource(ctx context.Context, args ...string) (*servers.Source, error) {
	return servers.StartSource(ctx, servers.SourceOptions{
		Kind: s.Kind, Dir: s.SourceDir(), Port: s.SourcePort, Args: args, Detach: s.Detach,
	})
}

// StartZooKeeper starts a standalone server with a tick of 500 ms: a session's end is noticed half a second late at
// most.
func (s *Stack) StartZooKeeper(ctx context.Context) (*servers.ZooKeeper, error) {
	return servers.StartZooKeeper(ctx, servers.ZooKeeperOptions{
		Dir: filepath.Dir(s.ZooKeeperDir()), Ports: []int{s.ZooKeeperPort}, TickTime: 500 * time.Millisecond, Detach: s.Detach,
	})
}

// StartWorker starts a worker and waits until it is ready to serve. Close it even after an error.
func (s *Stack) StartWorker(ctx context.Context, serverID string) (*servers.Program, error) {
	port, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	return servers.StartProgram(ctx, servers.ProgramOptions{
		Name: "worker " + serverID,
		Dir:  s.WorkerDir(serverID),
		Command: []string{
			filepath.Join(s.Programs, "worker"),
			"--server-id", serverID,
			"--zookeeper", s.ZooKeeperAddr(),
			"--session-timeout", SessionTimeout.String(),
			"--secrets-dir", s.SecretsDir(),
			"--listen", loopback(port),
			"--log-format", "json",
		},
		Ready:  func(ctx context.Context) error { return get(ctx, "http://"+loopback(port)+"/readyz") },
		Detach: s.Detach,
	})
}

// get returns an error unless the URL answers with 200.
func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// CreateTask creates a task that backs the source up from its oldest file on, and returns the command that did it.
// A task that exists stays as it is.
func (s *Stack) CreateTask(ctx context.Context, id string) (Command, error) {
	if err := os.MkdirAll(s.SecretsDir(), 0o700); err != nil {
		return Command{}, err
	}
	password := filepath.Join(s.SecretsDir(), "password")
	if err := os.WriteFile(password, []byte(servers.Password+"\n"), 0o600); err != nil {
		return Command{}, err
	}
	if err := os.MkdirAll(s.ArchiveDir(), 0o755); err != nil {
		return Command{}, err
	}
	return s.Binkeeper(ctx, "task", "create", id, "--if-not-exists",
		"--source", "mysql://"+servers.User+"@"+s.SourceAddr(),
		"--password-ref", "file:"+password,
		"--archive", "file://"+s.ArchiveDir())
}

// Ready reports what of the programs' folder is missing.
func (s *Stack) Ready() error {
	for _, name := range []string{"worker", "binkeeper"} {
		if _, err := os.Stat(filepath.Join(s.Programs, name)); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("no program %s in %s: run make build", name, s.Programs)
		} else if err != nil {
			return err
		}
	}
	return nil
}
