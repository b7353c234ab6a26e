package servers

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// SourceOptions say what source to start, and where. Kind and Dir are required.
type SourceOptions struct {
	Kind Kind
	// Dir is a folder of the source's own, made when missing. One that a source ran in before, also of another
	// program, is run again with its data.
	Dir string
	// Port is the TCP port on 127.0.0.1. Default: a free one.
	Port int
	// Args are options of the server, as "--sync-binlog=0". They come after the defaults, and win.
	Args []string
	// Env is added to the server's environment, as "NAME=value".
	Env []string
	// Detach lets the server outlive this process; StopDetached(Dir) ends it.
	Detach bool
}

// Source is a MySQL or MariaDB server with a binary log: mysql-bin.000001 and on, GTIDs, server id 1, synced at
// each commit.
type Source struct {
	process
	options SourceOptions
	db      *sql.DB
}

// StartSource starts a source and waits until it answers. It makes what is missing of data, accounts and
// certificates. Close it, whatever happens to it before.
func StartSource(ctx context.Context, options SourceOptions) (*Source, error) {
	s, err := newSource(options)
	if err != nil {
		return nil, err
	}
	if err := s.startFirst(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Source) startFirst(ctx context.Context) error {
	if _, err := os.Stat(s.DataDir()); errors.Is(err, os.ErrNotExist) {
		if err := s.Kind().createDataDir(ctx, s.DataDir()); err != nil {
			return err
		}
	}
	return s.Start(ctx)
}

func newSource(options SourceOptions) (*Source, error) {
	program, err := options.Kind.program(options.Kind.server())
	if err != nil {
		return nil, err
	}
	if options.Dir, err = filepath.Abs(options.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, err
	}
	if options.Port == 0 {
		if options.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	s := &Source{options: options}
	if s.db, err = openDB(s.Addr()); err != nil {
		return nil, err
	}
	s.process = process{
		name:    string(options.Kind),
		command: func() *exec.Cmd { return s.serverCommand(program) },
		ready:   s.db.PingContext,
		log:     filepath.Join(options.Dir, "server.log"),
		pidFile: filepath.Join(options.Dir, pidFileName),
		detach:  options.Detach,
	}
	return s, nil
}

func openDB(addr string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User = "tcp", addr, "root"
	config.MaxAllowedPacket = 1 << 30
	config.Logger = &mysql.NopLogger{} // lost connections are what tests are about
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (s *Source) serverCommand(program []string) *exec.Cmd {
	args := append(program[1:len(program):len(program)], s.options.Kind.options(s.DataDir())...)
	args = append(args,
		"--port="+strconv.Itoa(s.options.Port),
		"--bind-address=127.0.0.1",
		"--socket=mysqld.sock", // relative to the data folder: a socket's whole path must be under 108 bytes
		"--pid-file=mysqld.pid",
		"--skip-name-resolve",
		"--secure-file-priv=",
		"--server-id=1",
		"--log-bin=mysql-bin",
		"--sync-binlog=1",
		"--max-allowed-packet=1G",
		"--performance-schema=OFF",
		"--innodb-buffer-pool-size=128M",
		"--ssl-ca=ca.pem", "--ssl-cert=server-cert.pem", "--ssl-key=server-key.pem",
	)
	if s.options.Kind.IsMariaDB() {
		args = append(args, "--binlog-format=ROW", "--innodb-log-file-size=64M")
	} else {
		args = append(args, "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=OFF", "--innodb-redo-log-capacity=64M")
	}
	cmd := exec.Command(program[0], append(args, s.options.Args...)...)
	cmd.Dir = s.DataDir()
	cmd.Env = append(s.options.Kind.environment(), s.options.Env...)
	return cmd
}

// Close kills the source. Its folder stays.
func (s *Source) Close() error {
	s.Kill()
	return s.db.Close()
}

// SetArgs replaces the options' Args, from the next start on.
func (s *Source) SetArgs(args ...string) { s.options.Args = args }

// Kind returns what server it is.
func (s *Source) Kind() Kind { return s.options.Kind }

// Port returns its TCP port on 127.0.0.1.
func (s *Source) Port() int { return s.options.Port }

// Addr returns its address as "127.0.0.1:port".
func (s *Source) Addr() string { return loopback(s.options.Port) }

// URL returns it as a task's source, "mysql://binkeeper@127.0.0.1:port". The password is [Password].
func (s *Source) URL() string { return "mysql://" + User + "@" + s.Addr() }

// DataDir returns the server's data folder, which holds its binary log.
func (s *Source) DataDir() string { return filepath.Join(s.options.Dir, "data") }

// CA returns the path of the authority that signed the server's certificate, which names 127.0.0.1 and localhost.
func (s *Source) CA() string { return filepath.Join(s.DataDir(), "ca.pem") }

// ClientCertificate returns the paths of a client's certificate and key that the server accepts.
func (s *Source) ClientCertificate() (cert, key string) {
	return filepath.Join(s.DataDir(), "client-cert.pem"), filepath.Join(s.DataDir(), "client-key.pem")
}

// DB returns a pool of connections as root. It lives until Close, over every restart of the server.
func (s *Source) DB() *sql.DB { return s.db }

// Exec runs the statements as root in one session, one after the other, and stops at the first error.
func (s *Source) Exec(ctx context.Context, statements ...string) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Addr(), err)
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("execute %.200q: %w", statement, err)
		}
	}
	return nil
}

// BinlogFiles returns the paths of the binlog files that the server has now, oldest first, by its own index.
func (s *Source) BinlogFiles() ([]string, error) {
	base := "mysql-bin"
	for _, arg := range s.options.Args {
		if name, ok := strings.CutPrefix(arg, "--log-bin="); ok {
			base = name
		}
	}
	index, err := os.ReadFile(filepath.Join(s.DataDir(), base+".index"))
	if err != nil {
		return nil, fmt.Errorf("read binlog index: %w", err)
	}
	var files []string
	lines := bufio.NewScanner(bytes.NewReader(index))
	for lines.Scan() {
		files = append(files, filepath.Join(s.DataDir(), lines.Text()))
	}
	return files, nil
}
