// Package servers starts real ZooKeeper, MySQL and MariaDB servers on loopback, and programs that use them, for
// tests, the demo and benchmarks. The servers of an ensemble can have hosts of their own instead, see [Network].
//
// It promises that a server answers when its start returns, that it keeps its port and data over [Source.Kill],
// [Source.Stop] and a new start, and that it dies with the process that started it, however that ends, unless it
// was detached. It runs as the user of the caller, needs no root but for a [Network], and writes below the folder it
// is given and, for initialised data folders that later sources are copied from, below the user's cache folder.
//
// The servers themselves are installed by scripts/install. What is started on them, and removing their folders, is
// left to the caller. Package servertest has the shape that tests want.
package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// InstallRoot is the folder below which scripts/install puts servers that the distribution does not have:
// $BINKEEPER_SERVERS, or /opt/binkeeper.
func InstallRoot() string {
	if root := os.Getenv("BINKEEPER_SERVERS"); root != "" {
		return root
	}
	return "/opt/binkeeper"
}

// NotInstalledError says that a server or tool is not on this machine.
type NotInstalledError struct {
	Component string // as scripts/install names it
	Path      string // what was looked for
}

// Error is the message, on one line.
func (e *NotInstalledError) Error() string {
	return fmt.Sprintf("%s is not installed: no %s", e.Component, e.Path)
}

// Hint is the next step of the person who runs the tests.
func (e *NotInstalledError) Hint() string { return "run: scripts/install " + e.Component }

// installed returns the first match of pattern, or a NotInstalledError.
func installed(component, pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", component, err)
	}
	if len(found) == 0 {
		return "", &NotInstalledError{Component: component, Path: pattern}
	}
	return found[0], nil
}

// Ports are drawn below Linux's default range for outgoing connections (32768 and up). A port from that range could
// be taken by any connection while its server is down, and the server could not come back.
const (
	firstPort = 12000
	lastPort  = 32000
)

// given holds the ports that FreePort has returned.
var given sync.Map

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens, and never the same one twice. Nothing keeps it
// free until it is used; it is drawn at random from 20,000, so that programs that draw at the same time rarely meet.
func FreePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		var listener net.Listener
		if listener, err = net.Listen("tcp", loopback(port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.Join(errors.New("find a free port"), err)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
