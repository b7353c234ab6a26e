package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	// connectTimeout bounds dialling and authentication.
	connectTimeout = 10 * time.Second
	// answerTimeout bounds the answer to one statement.
	answerTimeout = 30 * time.Second
	// DefaultHeartbeat is the heartbeat period when Options has none.
	DefaultHeartbeat = 5 * time.Second
)

// Options is what a connection needs besides its Target. The identity of the
// replica is for Dump only.
type Options struct {
	Password string
	// ReplicaUUID and ReplicaServerID are who the dump says it is. The server
	// ends an older dump of the same UUID (MariaDB: of the same server id), so
	// they are stable per task.
	ReplicaUUID     string
	ReplicaServerID uint32
	// Heartbeat is the period in which an idle source says that it is there.
	// Three of them without a byte are ErrSilent. Default 5 s.
	Heartbeat time.Duration
	// Arrived, if not nil, counts the bytes that have come before Next has
	// anything to return for them: of a large event, and of an overlap.
	Arrived *atomic.Int64
	// Together, unless 0, is how many bytes may stand in a buffer together. An
	// event larger than the stream's own buffer that would make them more is kept
	// back with ErrNotYet, for Next to be called with an empty one.
	Together int64
	// Dial opens the connection. Default net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Conn is a connection to a server, authenticated and idle.
type Conn struct {
	target   Target
	options  Options
	raw      net.Conn // the TCP connection, below TLS: closing it never waits
	conn     net.Conn // once authenticated, inside TLS if there is any
	commands *commands
	mariaDB  bool
	greeted  bool // the server has said something, as MySQL does first
	warning  string
}

// Connect opens a connection to target, within 10 s. Its errors are ErrUnreachable,
// *DeniedError, and *UnfitError for what is no MySQL server, does not protect the
// connection as asked, or asks for the password in a way in which it is not given.
func Connect(ctx context.Context, target Target, options Options) (*Conn, error) {
	if options.Heartbeat == 0 {
		options.Heartbeat = DefaultHeartbeat
	}
	if options.Dial == nil {
		options.Dial = new(net.Dialer).DialContext
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, fmt.Errorf("no answer within %s", connectTimeout))
	defer cancel()

	raw, err := options.Dial(ctx, "tcp", target.Address())
	if err != nil {
		return nil, &unreachableError{address: target.Address(), cause: err}
	}
	release := closeOnDone(ctx, raw)
	c := &Conn{target: target, options: options, raw: raw}
	err = c.handshake(ctx)
	if ended := release(); ended != nil {
		err = &unreachableError{address: target.Address(), cause: ended, mute: !c.greeted}
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// handshake reads the greeting, which says whether TLS is offered, and authenticates.
func (c *Conn) handshake(ctx context.Context) error {
	first, err := readGreeting(c.raw)
	if err != nil {
		return c.connectError(err)
	}
	c.greeted = true
	config, err := c.target.tlsConfig(first.offersTLS())
	if err != nil {
		return err
	}
	c.mariaDB = first.mariaDB()
	a := newAuthentication(c.raw, c.target, c.options.Password, first)
	if config != nil {
		err = a.startTLS(ctx, config)
	}
	if err == nil {
		err = a.run()
	}
	if err != nil {
		return c.connectError(err)
	}
	if a.told && !c.target.verifies() {
		c.warning = c.target.unverified()
	}
	c.conn, c.commands = a.conn, newCommands(a.conn)
	return nil
}

// Warning is what an operator should hear of how the password was given to the
// server, one sentence, or "".
func (c *Conn) Warning() string { return c.warning }

// Error codes of the server, from its reference.
const (
	errHostNotPrivileged    = 1130
	errAccessDenied         = 1045
	errDBAccessDenied       = 1044
	errAccessDeniedNoPass   = 1698
	errMustChangePassword   = 1820
	errMustChangeLogin      = 1862
	errAccountLocked        = 3118
	errTooManyConnections   = 1040
	errTooManyOfUser        = 1203
	errUserLimitReached     = 1226
	errAccountBlocked       = 4151 // MariaDB
	errReplicaSameID        = 4052 // MariaDB, to the older of two dumps
	errSpecificAccessDenied = 1227
	errFatalReadingBinlog   = 1236
)

var deniedCodes = []uint16{errHostNotPrivileged, errAccessDenied, errDBAccessDenied, errAccessDeniedNoPass, errMustChangePassword, errMustChangeLogin, errAccountLocked, errAccountBlocked}

// fullCodes are those of a server that takes no more connections for now.
var fullCodes = []uint16{errTooManyConnections, errTooManyOfUser, errUserLimitReached}

// connectError says what a failed handshake means.
func (c *Conn) connectError(err error) error {
	var answer *mysql.MyError
	var cert *tls.CertificateVerificationError
	var other *notMySQLError
	var unfit *UnfitError
	switch {
	case errors.As(err, &unfit):
		return err
	case errors.As(err, &answer) && slices.Contains(deniedCodes, answer.Code):
		return &DeniedError{User: c.target.User, Address: c.target.Address(), Message: answer.Message}
	case errors.As(err, &answer) && slices.Contains(fullCodes, answer.Code):
		return &fullError{address: c.target.Address(), cause: err}
	case errors.As(err, &cert):
		return &UnfitError{Address: c.target.Address(), Problem: fmt.Sprintf("its certificate does not pass ssl-mode %s: %v", c.target.SSLMode, cert.Err),
			Advice: "name the authority that signed the server's certificate with ssl-ca"}
	case errors.As(err, &other):
		return &UnfitError{Address: c.target.Address(), Problem: other.Error(), Advice: "check host and port in the source's URL"}
	}
	return &unreachableError{address: c.target.Address(), cause: err, mute: !c.greeted && answer == nil}
}

// closeOnDone closes conn when ctx ends. The function that it returns puts an end
// to that, and returns the cause if ctx has ended before.
func closeOnDone(ctx context.Context, conn net.Conn) (release func() error) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.Close()
		close(closed)
	})
	return sync.OnceValue(func() error {
		if stop() {
			return nil
		}
		<-closed
		return context.Cause(ctx)
	})
}

// Close closes the connection, and that of the Stream made of it.
func (c *Conn) Close() error {
	if err := c.raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close connection to %s: %w", c.target.Address(), err)
	}
	return nil
}
