package coord

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"

	"binkeeper/internal/failure"
)

// Why a session is over, and why there is none.
var (
	// ErrExpired: the ensemble has expired the session.
	ErrExpired = failure.New(failure.Coordination, "ZooKeeper session expired")
	// ErrSessionChanged: a server answered with another session's id.
	ErrSessionChanged = failure.New(failure.Coordination, "ZooKeeper handed out another session")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("ZooKeeper session closed")
	// ErrUnreachable: no server gave a session in time.
	ErrUnreachable = failure.New(failure.Coordination, "ZooKeeper unreachable")
)

// Why a request was not carried out.
var (
	// ErrDisconnected: nothing was sent because the session is disconnected, or
	// the connection was lost and what became of the request is not known yet.
	ErrDisconnected = failure.New(failure.Coordination, "disconnected from ZooKeeper")
	// ErrFenced: this instance speaks for its task no longer. Its znode is
	// gone, the checkpoint was moved by another, or the session is over.
	ErrFenced = errors.New("fenced")
	// ErrLost: the claim was not won. The checkpoint has moved since it was
	// read, the own instance is gone, or the session is over.
	ErrLost = errors.New("claim lost")
	// ErrNoTask: there is no such task.
	ErrNoTask = failure.New(failure.NotFound, "no such task")
	// ErrSpecChanged: another client has changed the spec since it was read.
	ErrSpecChanged = errors.New("the spec has changed")
	// ErrTaskExists: there is such a task already.
	ErrTaskExists = failure.New(failure.Conflict, "task exists")
	// ErrNoCheckpoint: the task has no lastCommit.
	ErrNoCheckpoint = errors.New("no checkpoint")
	// ErrMissing: a znode that belongs to every task is not there.
	ErrMissing = errors.New("missing")
)

// errUnknown marks a request that may have been carried out or not.
var errUnknown = errors.New("outcome unknown")

// An UnreachableError says which servers gave no session, and the last reason.
// It is an ErrUnreachable.
type UnreachableError struct {
	Servers []string
	Cause   error
}

// Error is the message, on one line.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s at %s: %s", ErrUnreachable, strings.Join(e.Servers, ","), e.Cause)
}

// Unwrap gives ErrUnreachable and the cause.
func (e *UnreachableError) Unwrap() []error { return []error{ErrUnreachable, e.Cause} }

// Hint names the operator's next step.
func (e *UnreachableError) Hint() string { return hintUnreachable }

const hintUnreachable = "check that ZooKeeper runs there, or name other servers with --zookeeper"

// A ForbiddenError says that ZooKeeper refuses this client a write: the node's ACL has been changed.
type ForbiddenError struct{ Cause error }

// Error is the message, on one line.
func (e *ForbiddenError) Error() string { return "ZooKeeper forbids it: " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *ForbiddenError) Unwrap() error { return e.Cause }

// Hint names the operator's next step.
func (e *ForbiddenError) Hint() string {
	return "give the ACL of that znode back: workers make theirs with world:anyone:cdrwa"
}

// A TakenError says that another process uses the server id.
type TakenError struct {
	ServerID string
	Host     string // of the holder; "" when its node does not say
	PID      int    // of the holder; 0 when its node does not say
	Stray    string // the node's path when no session holds it, so that no worker has made it
}

// Error is the message, on one line.
func (e *TakenError) Error() string {
	holder := "a process that does not say who it is"
	switch {
	case e.Stray != "":
		holder = "the znode " + e.Stray + ", which no session holds"
	case e.Host != "":
		holder = fmt.Sprintf("process %d on %s", e.PID, e.Host)
	}
	return fmt.Sprintf("server id %q is taken by %s", e.ServerID, holder)
}

// Kind is failure.Conflict.
func (e *TakenError) Kind() failure.Kind { return failure.Conflict }

// Hint names the operator's next step.
func (e *TakenError) Hint() string {
	if e.Stray != "" {
		return "delete that znode, which no worker has made, or give this worker another --server-id"
	}
	return "stop that worker, or give this one another --server-id"
}

// An InUseError says what keeps a task from being removed.
type InUseError struct {
	Task    string
	Desired string   // what its spec says
	Nodes   []string // below it, that RemoveTask does not delete
}

// Error is the message, on one line.
func (e *InUseError) Error() string {
	if e.Desired != zkpaths.Removed {
		return fmt.Sprintf("task %s is in use: desired is %s", e.Task, e.Desired)
	}
	return fmt.Sprintf("task %s is in use: %s", e.Task, strings.Join(e.Nodes, ", "))
}

// Kind is failure.Conflict.
func (e *InUseError) Kind() failure.Kind { return failure.Conflict }

// Hint names the operator's next step.
func (e *InUseError) Hint() string {
	if e.Desired != zkpaths.Removed {
		return "set desired to removed first, so that its workers leave"
	}
	return "wait until its workers have left; delete nodes that are none of theirs by hand"
}

// A failedOp is the definite error of a Multi and the operation that caused it.
type failedOp struct {
	index int
	err   error
}

func (e *failedOp) Error() string { return e.err.Error() }
func (e *failedOp) Unwrap() error { return e.err }

// failedAt reports whether err is a Multi's, caused by its operation index.
func failedAt(err error, index int) bool {
	var op *failedOp
	return errors.As(err, &op) && op.index == index
}

// definite holds the answers by which a server says that it has carried
// out nothing, besides refusals. Connection loss comes in many shapes; only this list is closed.
var definite = []error{
	zk.ErrNoNode, zk.ErrBadVersion, zk.ErrNodeExists, zk.ErrNotEmpty, zk.ErrNoAuth,
	zk.ErrNoChildrenForEphemerals, zk.ErrInvalidACL, zk.ErrBadArguments, zk.ErrInvalidPath,
}

func isDefinite(err error) bool {
	for _, d := range definite {
		if errors.Is(err, d) {
			return true
		}
	}
	var refusal *RefusedError
	return errors.As(err, &refusal)
}

func isOver(err error) bool {
	return errors.Is(err, ErrExpired) || errors.Is(err, ErrSessionChanged) || errors.Is(err, ErrClosed)
}

// isLoss reports whether err came of a lost connection: looking again, once
// there is another, may help.
func isLoss(err error) bool {
	return errors.Is(err, errUnknown) || errors.Is(err, ErrDisconnected)
}

// verdict turns the error of a fenced write into what the writer acts on.
func verdict(err error) error {
	switch {
	case isOver(err), errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion):
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, errUnknown):
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	case errors.Is(err, zk.ErrNoAuth):
		return &ForbiddenError{err}
	}
	return err
}
