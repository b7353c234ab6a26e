package dump

import (
	"context"
	"errors"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/failure"
	"binkeeper/internal/guard"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

var (
	// ErrTermOver is the cause of a dump's end when its term has ended.
	ErrTermOver = errors.New("the term is over")
	// errOtherServer says that another server answers at the source's address now.
	errOtherServer = errors.New("another server answers at the source's address")
	// errShorter says that the source has less than is archived of it.
	errShorter = errors.New("the source's binlog is shorter than the archive")
)

// A BlockedError says that only an operator can decide how to go on. Its reason is
// one of zkpaths' Blocked words.
type BlockedError struct {
	Reason string
	Err    error
	Answer string // in words
}

// Blocked returns a *BlockedError. hint is the answer, in words.
func Blocked(reason string, err error, hint string) error {
	return &BlockedError{reason, err, hint}
}

// BlockedBySpec is the block of a task by whose spec no worker can work.
func BlockedBySpec(task string, err error) error {
	if newer := (*zkpaths.NewerFormatError)(nil); errors.As(err, &newer) {
		return Blocked(zkpaths.BlockedNewerFormat, err, newer.Hint())
	}
	mend := "write a good spec back to " + zkpaths.Task(task) + ", or remove the node and create the task again"
	if unreadable := (*zkpaths.UnreadableError)(nil); !errors.As(err, &unreadable) && failure.Hint(err) != "" {
		mend = failure.Hint(err) + "; " + mend
	}
	return Blocked(zkpaths.BlockedBadSpec, err, mend)
}

// Error is the message, on one line.
func (e *BlockedError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *BlockedError) Unwrap() error { return e.Err }

// Hint is the operator's next step.
func (e *BlockedError) Hint() string { return e.Answer }

// IsBlocked reports whether there is a *BlockedError in err's tree.
func IsBlocked(err error) bool {
	var b *BlockedError
	return errors.As(err, &b)
}

// An EndKind is how an attempt has ended.
type EndKind int

// The ways in which an attempt ends.
const (
	EndedInOrder    EndKind = iota // as it was told to
	EndedFenced                    // a write was refused: this is no longer the primary
	EndedByConflict                // another writer has appended
	EndedCutOff                    // a write that has to be fenced needs ZooKeeper, which is away
	EndedBlocked                   // an operator must decide
	EndedByPanic                   // a bug: nothing that this term has made is to be relied on
	EndedTorn                      // the source can send no more of the file
	EndedByTrouble                 // the source or the store; to be tried again
)

// Reasons of an end that are no blocks.
const (
	ReasonSource       = "source-away"
	ReasonStore        = "store-away"
	ReasonConflict     = "conflict"     // another writer has appended
	ReasonCoordination = "coordination" // ZooKeeper is away, or refuses
	ReasonPanic        = "panic"
)

// hintEvicted is for a dump that the source has ended for another one of the same identity.
const hintEvicted = "if this is not the task's next primary, somebody else reads the source with the task's replica_uuid or replica_server_id: " +
	"look for another fleet with a copy of the task, or a replica with this identity, and stop it"

// An Ending is what the end of an attempt means, and what the next one needs to know.
type Ending struct {
	Kind   EndKind
	Reason string // one of zkpaths' Blocked words, or a Reason; "" at an end in order
	Detail string // the error in words
	Hint   string // the operator's next step, or ""
	Err    error  // the error itself; nil at an end in order

	Seen      string // the identity of the server that has answered; "": none has
	Walked    bool   // the checkpoint stands at the chain's end
	Swept     bool   // what dead writers had left in the archive has been removed
	Disproved bool   // the stream was open, and that has proved nothing
	Found     string // the reason of a new timeline that would answer the block, or ""
	// TornHere says that the file in which the archive ends is torn, and the one behind it
	// was not looked at yet.
	TornHere bool
	Corrupt  *source.CorruptError // the fault in what the source sent, or nil
}

// foundReasons are the reasons of a new timeline that answer a block.
var foundReasons = map[string]string{
	zkpaths.BlockedDiverged: archive.ReasonDiverged,
	zkpaths.BlockedPurged:   archive.ReasonGap,
}

// Ending says how the attempt has ended. It is to be asked after Done.
func (d *Dump) Ending() Ending {
	e := classify(d.err)
	if e.Kind == EndedByTrouble {
		if block := repeatedFault(corruptIn(d.err), d.cfg.Before.Corrupt); block != nil {
			e = classify(block)
		}
	}
	if e.Kind == EndedTorn && d.cfg.Before.Torn && !d.progress.IsOpen() {
		// The file that was to prove itself by its head is torn there, too.
		e.Kind, e.Reason = EndedBlocked, zkpaths.BlockedTorn
	}
	e.Err, e.Seen, e.Walked, e.Swept, e.Corrupt = d.err, d.seen, d.walked, d.swept, corruptIn(d.err)
	e.Disproved = d.disproved(e)
	e.TornHere = e.Kind == EndedTorn && !d.cfg.Before.Torn
	if e.Kind == EndedBlocked {
		e.Found = foundReasons[e.Reason]
	}
	return e
}

// disproved reports whether the end shows that being open proves nothing: the store
// refuses what comes, what comes is of no use, or it comes to what an operator must
// decide.
func (d *Dump) disproved(e Ending) bool {
	if e.Kind != EndedByTrouble && e.Kind != EndedTorn && e.Kind != EndedBlocked || !d.progress.IsOpen() {
		return false
	}
	select {
	case <-d.progress.advanced:
		return e.Reason == ReasonStore || e.Kind == EndedBlocked || e.Kind == EndedTorn
	default:
		return true
	}
}

// classify says what the error that a dump ended with means.
func classify(err error) Ending {
	block := (*BlockedError)(nil)
	conflict := (*archive.ConflictError)(nil)
	newer := (*archive.NewerFormatError)(nil)
	broken, mismatch := (*archive.BrokenError)(nil), (*archive.MismatchError)(nil)
	store := (*archive.StoreError)(nil)
	forbidden := (*coord.ForbiddenError)(nil)
	mode := (*source.GTIDModeError)(nil)
	saying := func(kind EndKind, reason string) Ending {
		return Ending{Kind: kind, Reason: reason, Detail: err.Error(), Hint: failure.Hint(err)}
	}
	switch {
	case err == nil, errors.Is(err, ErrTermOver), errors.Is(err, context.Canceled):
		return Ending{Kind: EndedInOrder}
	case guard.Panicked(err) != nil:
		return saying(EndedByPanic, ReasonPanic)
	case errors.Is(err, coord.ErrFenced):
		return Ending{Kind: EndedFenced}
	case errors.As(err, &conflict):
		return saying(EndedByConflict, ReasonConflict)
	case errors.Is(err, coord.ErrDisconnected):
		return Ending{Kind: EndedCutOff}
	case errors.As(err, &block):
		return saying(EndedBlocked, block.Reason)
	case errors.As(err, &mode):
		return saying(EndedBlocked, zkpaths.BlockedGTIDMode)
	case errors.Is(err, source.ErrDiffers), errors.Is(err, source.ErrPastEnd):
		return Ending{Kind: EndedBlocked, Reason: zkpaths.BlockedDiverged, Detail: err.Error(), Hint: hintDiverged}
	case errors.Is(err, source.ErrTorn):
		return Ending{Kind: EndedTorn, Reason: ReasonSource, Detail: err.Error(), Hint: hintUnreadable}
	case errors.As(err, &newer):
		return saying(EndedBlocked, zkpaths.BlockedNewerFormat)
	case errors.As(err, &broken), errors.As(err, &mismatch):
		return saying(EndedBlocked, zkpaths.BlockedArchiveBroken)
	case errors.As(err, &store):
		return saying(EndedByTrouble, ReasonStore)
	case errors.As(err, &forbidden), errors.As(err, new(*coord.RefusedError)):
		return saying(EndedByTrouble, ReasonCoordination)
	case errors.Is(err, source.ErrEvicted):
		return Ending{Kind: EndedByTrouble, Reason: ReasonSource, Detail: err.Error(), Hint: hintEvicted}
	}
	return saying(EndedByTrouble, ReasonSource)
}
