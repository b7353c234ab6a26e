package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// ZooKeeperOptions say what ensemble to start, and where. Dir is required.
type ZooKeeperOptions struct {
	// Dir is a folder of the ensemble's own, made when missing. One that an ensemble ran in before, also of another
	// program, is run again with its data, if the ports are given.
	Dir string
	// Servers is their number. Default 1: a standalone server.
	Servers int
	// Ports are the servers' client ports, in order. Default: free ones.
	Ports []int
	// Host is the servers' address. Default 127.0.0.1.
	Host string
	// Network gives each server a host of its own there, in order, in place of Host.
	Network *Network
	// TickTime is the server's tick. A session's expiry is rounded up to it, and its timeout is at least two ticks.
	// Default 500ms.
	TickTime time.Duration
	// Properties are added to the configuration file, and win over the defaults.
	Properties map[string]string
	// JavaArgs are added to the arguments of java, as "-Dzookeeper.forceSync=no".
	JavaArgs []string
	// Detach lets the servers outlive this process; StopDetached(Dir/<n>) ends one, n from 1.
	Detach bool
}

// ZooKeeper is an ensemble, or one standalone server.
type ZooKeeper struct {
	servers []*ZooKeeperServer
}

// StartZooKeeper starts an ensemble and waits until every server serves requests. Close it, whatever happens to it
// before.
func StartZooKeeper(ctx context.Context, options ZooKeeperOptions) (*ZooKeeper, error) {
	options.Servers = max(options.Servers, 1)
	if options.TickTime == 0 {
		options.TickTime = 500 * time.Millisecond
	}
	classPath, err := zooKeeperClassPath()
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{}
	for n := range options.Servers {
		s := &ZooKeeperServer{dir: filepath.Join(options.Dir, strconv.Itoa(n+1)), host: options.host(n)}
		if n < len(options.Ports) {
			s.port = options.Ports[n]
		} else if s.port, err = FreePort(); err != nil {
			return nil, err
		}
		z.servers = append(z.servers, s)
	}
	quorum, err := quorumProperties(options)
	if err != nil {
		return nil, err
	}
	for n, s := range z.servers {
		if err := s.prepare(n+1, classPath, quorum, options); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", s.dir, err)
		}
	}
	if err := z.Start(ctx); err != nil {
		z.Close()
		return nil, err
	}
	return z, nil
}

// host is the address of server n, from 0.
func (o ZooKeeperOptions) host(n int) string {
	switch {
	case o.Network != nil:
		return o.Network.Host(n)
	case o.Host != "":
		return o.Host
	}
	return "127.0.0.1"
}

// quorumProperties are those by which the servers of an ensemble find each other; none for a standalone server.
func quorumProperties(options ZooKeeperOptions) (map[string]string, error) {
	properties := map[string]string{}
	for n := 0; n < options.Servers && options.Servers > 1; n++ {
		peer, err := FreePort()
		if err != nil {
			return nil, err
		}
		election, err := FreePort()
		if err != nil {
			return nil, err
		}
		properties[fmt.Sprintf("server.%d", n+1)] = fmt.Sprintf("%s:%d:%d", options.host(n), peer, election)
	}
	return properties, nil
}

// Start starts every server that is not running, and waits until all serve requests. While one is paused, use
// [ZooKeeperServer.Start].
func (z *ZooKeeper) Start(ctx context.Context) error {
	starts, ctx := errgroup.WithContext(ctx)
	for _, s := range z.servers {
		if s.Running() {
			starts.Go(func() error { return s.await(ctx, s.last()) })
		} else {
			starts.Go(func() error { return s.Start(ctx) })
		}
	}
	return starts.Wait()
}

// Close kills every server. The folder stays.
func (z *ZooKeeper) Close() {
	for _, s := range z.servers {
		s.Kill()
	}
}

// Addr returns the addresses of all servers, as "host:port,host:port".
func (z *ZooKeeper) Addr() string {
	var addrs []string
	for _, s := range z.servers {
		addrs = append(addrs, s.Addr())
	}
	return strings.Join(addrs, ",")
}

// Servers returns the servers of the ensemble, one if it is standalone.
func (z *ZooKeeper) Servers() []*ZooKeeperServer { return z.servers }

// ZooKeeperServer is one server of an ensemble.
type ZooKeeperServer struct {
	process
	dir  string
	host string
	port int
}

// prepare writes the server's configuration. n is its number in the ensemble, from 1.
func (s *ZooKeeperServer) prepare(n int, classPath string, quorum map[string]string, options ZooKeeperOptions) error {
	var err error
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.DataDir(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.DataDir(), "myid"), []byte(strconv.Itoa(n)+"\n"), 0o644); err != nil {
		return err
	}
	properties := map[string]string{
		"dataDir":                   s.DataDir(),
		"clientPort":                strconv.Itoa(s.port),
		"clientPortAddress":         s.host,
		"tickTime":                  strconv.FormatInt(options.TickTime.Milliseconds(), 10),
		"maxSessionTimeout":         "40000", // the default at the usual tick of 2 s
		"initLimit":                 "20",
		"syncLimit":                 "10",
		"maxClientCnxns":            "0",
		"admin.enableServer":        "false",
		"4lw.commands.whitelist":    "*",
		"autopurge.purgeInterval":   "0",
		"metricsProvider.className": "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
	}
	maps.Copy(properties, quorum)
	maps.Copy(properties, options.Properties)
	path := filepath.Join(s.dir, "zoo.cfg")
	if err := writeProperties(path, properties); err != nil {
		return err
	}
	args := []string{
		"-cp", classPath, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
	}
	args = append(args, options.JavaArgs...)
	args = append(args, "org.apache.zookeeper.server.quorum.QuorumPeerMain", path)
	command := func() *exec.Cmd { return exec.Command("java", args...) }
	if options.Network != nil {
		command = func() *exec.Cmd { return options.Network.on(n-1, "java", args...) }
	}
	s.process = process{
		name:    "zookeeper " + s.Addr(),
		command: command,
		ready: func(ctx context.Context) error {
			// A server that is starting may accept a connection and never answer on it.
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			_, err := s.Mode(ctx)
			return err
		},
		log:     filepath.Join(s.dir, "server.log"),
		pidFile: filepath.Join(s.dir, pidFileName),
		detach:  options.Detach,
	}
	return nil
}

func writeProperties(path string, properties map[string]string) error {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", key, properties[key])
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// zooKeeperClassPath is Debian's, and the logger that writes to standard error.
func zooKeeperClassPath() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", &NotInstalledError{Component: "zookeeper", Path: "java"}
	}
	const dir = "/usr/share/java"
	paths := []string{filepath.Join(dir, "slf4j-simple.jar")}
	for _, pattern := range []string{"zookeeper.jar", "netty*.jar"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		if len(found) == 0 {
			return "", &NotInstalledError{Component: "zookeeper", Path: filepath.Join(dir, pattern)}
		}
		paths = append(paths, found...)
	}
	return strings.Join(paths, ":"), nil
}

// Addr returns the server's client address as "host:port".
func (s *ZooKeeperServer) Addr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// DataDir returns the folder of its snapshots and logs.
func (s *ZooKeeperServer) DataDir() string { return filepath.Join(s.dir, "data") }

// Mode returns what the server says it is: "standalone", "leader", "follower". It is an error when the server does
// not serve requests, as without a quorum.
func (s *ZooKeeperServer) Mode(ctx context.Context) (string, error) {
	answer, err := s.FourLetterWord(ctx, "srvr")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", errors.New(strings.TrimSpace(answer))
}

// FourLetterWord sends one of ZooKeeper's four letter commands, as "mntr" or "cons", and returns the answer. It
// gives up after a second.
func (s *ZooKeeperServer) FourLetterWord(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("read answer to %s of %s: %w", word, s.Addr(), err)
	}
	return string(answer), nil
}
