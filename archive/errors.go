package archive

import (
	"cmp"
	"fmt"

	"binkeeper/internal/failure"
)

// ErrNoTimeline is returned for an archive, or a number, without a timeline.
var ErrNoTimeline = failure.New(failure.Gap, "no such timeline in the archive")

// A ConflictError says that another writer holds the name that was to be
// created, with other content; or that what was appended to is not there any
// more. The chain's end must be walked to again.
type ConflictError struct {
	Object  string
	Problem string // "": it exists already
}

// Error is the message, on one line.
func (e *ConflictError) Error() string {
	return e.Object + " " + cmp.Or(e.Problem, "exists already, with other content")
}

// Kind is failure.Conflict.
func (e *ConflictError) Kind() failure.Kind { return failure.Conflict }

// A BehindError says that the archive ends before what a checkpoint says is in
// it. Stores that show new objects late make it pass: walk again before
// believing it.
type BehindError struct {
	Checkpoint Hint
	End        End // zero when the archive has no timeline
}

// Error is the message, on one line.
func (e *BehindError) Error() string {
	return fmt.Sprintf("the archive ends with %s, before the checkpoint at timeline %d, %s:%d",
		e.End, e.Checkpoint.Timeline, e.Checkpoint.File, e.Checkpoint.Position)
}

// Kind is failure.Gap.
func (e *BehindError) Kind() failure.Kind { return failure.Gap }

// Hint is the operator's next step.
func (e *BehindError) Hint() string {
	return "check that the store is the shared one and is mounted; task resume --accept-archive goes on from the archive's end"
}

// A BrokenError says that an object on the chain cannot be read or does not
// belong where it stands.
type BrokenError struct {
	Object  string
	Problem string
}

// Error is the message, on one line.
func (e *BrokenError) Error() string { return e.Object + ": " + e.Problem }

// Kind is failure.Mismatch.
func (e *BrokenError) Kind() failure.Kind { return failure.Mismatch }

// Hint is the operator's next step.
func (e *BrokenError) Hint() string {
	return "restore this object from a copy of the archive; do not delete it"
}

// A NewerFormatError says that an object was written by a later version.
type NewerFormatError struct {
	Object string
	Format int
}

// Error is the message, on one line.
func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("%s has format %d; this version reads up to %d", e.Object, e.Format, Format)
}

// Hint is the operator's next step.
func (e *NewerFormatError) Hint() string { return "upgrade this program" }

// A HoleError says that an object is missing on the chain, although the archive
// goes on behind it.
type HoleError struct {
	Object string // the missing segment
	Behind string // an object that stands behind it
}

// Error is the message, on one line.
func (e *HoleError) Error() string {
	return fmt.Sprintf("%s is missing, although %s stands behind it", e.Object, e.Behind)
}

// Kind is failure.Gap.
func (e *HoleError) Kind() failure.Kind { return failure.Gap }

// Hint is the operator's next step.
func (e *HoleError) Hint() string {
	return "restore the missing object from a copy of the archive"
}

// A MismatchError says that what is stored is not what was archived.
type MismatchError struct {
	Object  string
	Offset  int64 // in the binlog file: what is before it is right
	Problem string
}

// Error is the message, on one line.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: %s (binlog offset %d)", e.Object, e.Problem, e.Offset)
}

// Kind is failure.Mismatch.
func (e *MismatchError) Kind() failure.Kind { return failure.Mismatch }

// Hint is the operator's next step.
func (e *MismatchError) Hint() string { return "restore this object from a copy of the archive" }

// A NotEmptyError says that an export's folder holds something.
type NotEmptyError struct {
	Dir string
}

// Error is the message, on one line.
func (e *NotEmptyError) Error() string { return e.Dir + " is not empty" }

// Kind is failure.Conflict.
func (e *NotEmptyError) Kind() failure.Kind { return failure.Conflict }

// Hint is the operator's next step.
func (e *NotEmptyError) Hint() string { return "name a new or an empty folder" }
