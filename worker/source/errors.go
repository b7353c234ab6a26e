package source

import (
	"errors"
	"fmt"

	"binkeeper/internal/failure"
)

// What a caller branches on. Other errors of a Stream mean that the connection
// or the server went away: connect again.
var (
	// ErrNotYet is Next's answer when nothing was complete in time. The stream
	// goes on.
	ErrNotYet = errors.New("no whole event yet")
	// ErrSilent ends a stream from which nothing has come, not even a heartbeat,
	// for three heartbeat periods.
	ErrSilent = failure.New(failure.Source, "the source has gone silent")
	// ErrEvicted ends a stream whose replica UUID or server id another dump uses.
	ErrEvicted = errors.New("another dump with the same replica identity has taken over")
	// ErrFileNotFound is a file that the source does not have (any more).
	ErrFileNotFound = failure.New(failure.Gap, "the source does not have the binlog file")
	// ErrPastEnd is a position beyond the end of the source's file.
	ErrPastEnd = failure.New(failure.Gap, "the source's binlog file ends before the position")
	// ErrTorn is a file of the source's that ends in the middle of an event, as a
	// crash may leave it: the source can send no more of it, to any replica.
	ErrTorn = errors.New("the source's binlog file ends in the middle of an event")
	// ErrDiffers is a source whose binlog is not the one that an Overlap
	// describes.
	ErrDiffers = errors.New("the source's binlog differs from the archive")
	// ErrUnreachable is a source with which no connection comes about.
	ErrUnreachable = failure.New(failure.Source, "the source is unreachable")
)

// errUnreadable is a file that the source itself cannot read on in: a *CorruptError once
// the stream knows where.
var errUnreadable = errors.New("the source cannot read its own binlog file")

// CorruptError is a stream that breaks the rules of a binlog, or of which the source says
// so itself: what came is not to be archived.
type CorruptError struct {
	File    string
	Offset  int64 // the end of what was right, in bytes
	Problem string
}

// Error is the message, on one line.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("binlog stream of %s is corrupt after offset %d: %s", e.File, e.Offset, e.Problem)
}

// AnswerError is a server whose answer to a command is none: out of shape, without
// what was asked for, or larger than any such answer is.
type AnswerError struct {
	Address string // host:port of the source
	Command string // the statement, or what was asked for in words
	Problem string
}

// Error is the message, on one line.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("the source %s gives no good answer to %q: %s", e.Address, e.Command, e.Problem)
}

// Kind is failure.Source.
func (e *AnswerError) Kind() failure.Kind { return failure.Source }

// Hint is the operator's next step.
func (e *AnswerError) Hint() string {
	return "no MySQL or MariaDB answers so: ask the same with a client of theirs at the same address, and look at what stands between: a proxy, a load balancer, another server"
}

// GTIDModeError is a dump that has come to a transaction which the source sends to
// no replica in its present gtid_mode: one without a GTID while that is ON, one with a GTID
// while it is OFF. Nothing is wrong with the transaction, nor with those behind it.
type GTIDModeError struct {
	Mode    string // ON or OFF
	Message string // the server's own words
}

// Error is the message, on one line.
func (e *GTIDModeError) Error() string {
	return fmt.Sprintf("the source does not send, with gtid_mode = %s, what it logged in another mode: %s", e.Mode, e.Message)
}

// Hint is the operator's next step. A mode is one step away from its permissive one.
func (e *GTIDModeError) Hint() string {
	return fmt.Sprintf("run on the source: SET GLOBAL gtid_mode = %s_PERMISSIVE; then binkeeper task resume ID; set gtid_mode back to %s when the task has caught up", e.Mode, e.Mode)
}

// DeniedError is an account that the source does not let in.
type DeniedError struct {
	User    string
	Address string // host:port of the source
	Message string // the server's own words
}

// Error is the message, on one line.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("the source %s denies access to user %q: %s", e.Address, e.User, e.Message)
}

// Kind is failure.Source.
func (e *DeniedError) Kind() failure.Kind { return failure.Source }

// Hint is the operator's next step.
func (e *DeniedError) Hint() string {
	return "check the user in the source's URL, what the password reference resolves to, and the hosts from which the server lets the user in"
}

// UnfitError is a server that answers, but whose binlog cannot be backed up as it
// is set up now.
type UnfitError struct {
	Address   string // host:port of the source
	Problem   string
	Statement string // the SQL to run on the source, or ""
	Advice    string // what else to do, when Statement is ""
}

// Error is the message, on one line.
func (e *UnfitError) Error() string {
	return fmt.Sprintf("the source %s cannot be backed up: %s", e.Address, e.Problem)
}

// Kind is failure.Source.
func (e *UnfitError) Kind() failure.Kind { return failure.Source }

// Hint is the operator's next step.
func (e *UnfitError) Hint() string {
	if e.Statement != "" {
		return "run on the source: " + e.Statement
	}
	return e.Advice
}

// FileError is a certificate or key of the source's URL that cannot be read on this
// machine.
type FileError struct {
	Parameter string // of the URL
	Err       error
}

// Error is the message, on one line.
func (e *FileError) Error() string { return "read " + e.Parameter + ": " + e.Err.Error() }

// Kind is failure.Source.
func (e *FileError) Kind() failure.Kind { return failure.Source }

// Unwrap is the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint is the operator's next step.
func (e *FileError) Hint() string {
	return "the file must be PEM, and readable on every machine that runs a worker, and here"
}

// fullError is an ErrUnreachable: a source that has as many connections as it takes.
type fullError struct {
	address string
	cause   error // the server's own words
}

func (e *fullError) Error() string   { return fmt.Sprintf("reach source %s: %v", e.address, e.cause) }
func (e *fullError) Unwrap() []error { return []error{ErrUnreachable, e.cause} }

// Hint is the operator's next step.
func (e *fullError) Hint() string {
	return "end connections that are not needed, or raise max_connections at the source, or the account's own limits"
}

// unreachableError is an ErrUnreachable with its cause.
type unreachableError struct {
	address string
	cause   error
	mute    bool // a connection came about, and not a byte of a greeting
}

func (e *unreachableError) Error() string {
	if e.mute {
		return fmt.Sprintf("reach source %s: it takes connections and sends no greeting: %v", e.address, e.cause)
	}
	return fmt.Sprintf("reach source %s: %v", e.address, e.cause)
}

func (e *unreachableError) Unwrap() []error { return []error{ErrUnreachable, e.cause} }

// Hint is the operator's next step.
func (e *unreachableError) Hint() string {
	if e.mute {
		return "check host and port in the source's URL: a MySQL server speaks first; or the server is hung, or a proxy in front of it has none"
	}
	return "check that the server runs, that the address is its address, and that no firewall stands between"
}
