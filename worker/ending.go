package worker

import (
	"context"
	"errors"
	"regexp"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

var (
	// errTermOver is the cause of a dump's end when its term has ended.
	errTermOver = errors.New("the term is over")
	// errOtherServer says that another server answers at the source's address now.
	errOtherServer = errors.New("another server answers at the source's address")
	// errShorter says that the source has less than is archived of it.
	errShorter = errors.New("the source's binlog is shorter than the archive")
)

// A blockedError says that only an operator can decide how to go on. Its reason is
// one of zkpaths' Blocked words.
type blockedError struct {
	reason string
	err    error
	hint   string
}

func blocked(reason string, err error, hint string) error {
	return &blockedError{reason, err, hint}
}

func blockedBySpec(task string, err error) error {
	if newer := (*zkpaths.NewerFormatError)(nil); errors.As(err, &newer) {
		return blocked(zkpaths.BlockedNewerFormat, err, newer.Hint())
	}
	mend := "write a good spec back to " + zkpaths.Task(task) + ", or remove the node and create the task again"
	if unreadable := (*zkpaths.UnreadableError)(nil); !errors.As(err, &unreadable) && hintOf(err) != "" {
		mend = hintOf(err) + "; " + mend
	}
	return blocked(zkpaths.BlockedBadSpec, err, mend)
}

func (e *blockedError) Error() string { return e.err.Error() }
func (e *blockedError) Unwrap() error { return e.err }

// Hint is the operator's next step.
func (e *blockedError) Hint() string { return e.hint }

func isBlocked(err error) bool {
	var b *blockedError
	return errors.As(err, &b)
}

// hintOf returns the outermost hint in err's chain, or "".
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

type endKind int

const (
	endedInOrder    endKind = iota // as it was told to
	endedFenced                    // a write was refused: this is no longer the primary
	endedByConflict                // another writer has appended
	endedCutOff                    // a write that has to be fenced needs ZooKeeper, which is away
	endedBlocked                   // an operator must decide
	endedByPanic                   // a bug: nothing that this term has made is to be relied on
	endedTorn                      // the source can send no more of the file
	endedByTrouble                 // the source or the store; to be tried again
)

// The reasons of a task that is starting and cannot.
const (
	reasonSource = "source-away"
	reasonStore  = "store-away"
)

// hintEvicted is for a dump that the source has ended for another one of the same identity.
const hintEvicted = "if this is not the task's next primary, somebody else reads the source with the task's replica_uuid or replica_server_id: " +
	"look for another fleet with a copy of the task, or a replica with this identity, and stop it"

// An ending is what the end of a dump means.
type ending struct {
	kind                 endKind
	reason, detail, hint string
}

// localEnd is the near end of a connection in the words of package net. Its port is
// another one at each try.
var localEnd = regexp.MustCompile(`\S+->`)

// withoutLocalEnds is what an error says that it says at each try.
func withoutLocalEnds(detail string) string { return localEnd.ReplaceAllString(detail, "") }

// judgeEnd says what the error that the dump ended with means.
func (d *dump) judgeEnd(err error) ending {
	e := judgeEnd(err)
	if e.kind == endedByTrouble {
		if block := judgeCorrupt(corruptIn(err), d.corrupt); block != nil {
			return judgeEnd(block)
		}
	}
	if e.kind == endedTorn && d.torn && !d.progress.isOpen() {
		// The file that was to prove itself by its head is torn there, too.
		e.kind, e.reason = endedBlocked, zkpaths.BlockedTorn
	}
	return e
}

// judgeEnd says what the error that a dump ended with means.
func judgeEnd(err error) ending {
	block := (*blockedError)(nil)
	conflict := (*archive.ConflictError)(nil)
	newer := (*archive.NewerFormatError)(nil)
	broken, mismatch := (*archive.BrokenError)(nil), (*archive.MismatchError)(nil)
	store := (*archive.StoreError)(nil)
	forbidden := (*coord.ForbiddenError)(nil)
	mode := (*source.GTIDModeError)(nil)
	saying := func(kind endKind, reason string) ending {
		return ending{kind, reason, err.Error(), hintOf(err)}
	}
	switch {
	case err == nil, errors.Is(err, errTermOver), errors.Is(err, context.Canceled):
		return ending{kind: endedInOrder}
	case panicked(err) != nil:
		return saying(endedByPanic, reasonPanic)
	case errors.Is(err, coord.ErrFenced):
		return ending{kind: endedFenced}
	case errors.As(err, &conflict):
		return saying(endedByConflict, reasonConflict)
	case errors.Is(err, coord.ErrDisconnected):
		return ending{kind: endedCutOff}
	case errors.As(err, &block):
		return saying(endedBlocked, block.reason)
	case errors.As(err, &mode):
		return saying(endedBlocked, zkpaths.BlockedGTIDMode)
	case errors.Is(err, source.ErrDiffers), errors.Is(err, source.ErrPastEnd):
		return ending{endedBlocked, zkpaths.BlockedDiverged, err.Error(), hintDiverged}
	case errors.Is(err, source.ErrTorn):
		return ending{endedTorn, reasonSource, err.Error(), hintUnreadable}
	case errors.As(err, &newer):
		return saying(endedBlocked, zkpaths.BlockedNewerFormat)
	case errors.As(err, &broken), errors.As(err, &mismatch):
		return saying(endedBlocked, zkpaths.BlockedArchiveBroken)
	case errors.As(err, &store):
		return saying(endedByTrouble, reasonStore)
	case errors.As(err, &forbidden), errors.As(err, new(*coord.RefusedError)):
		return saying(endedByTrouble, reasonCoordination)
	case errors.Is(err, source.ErrEvicted):
		return ending{endedByTrouble, reasonSource, err.Error(), hintEvicted}
	}
	return saying(endedByTrouble, reasonSource)
}
