package archive

import (
	"context"
	"errors"
	"fmt"
)

// Append publishes seg at end, which is a Walk's or an earlier Append's, and
// returns the new end. It sets the metadata's format, task, timeline and chain
// hash; the rest is the caller's.
//
// A segment that is already there counts as this one if range, hashes and flags
// are the same: a reply was lost. Otherwise Append returns *ConflictError; so it
// does when the segment before is not there any more: where an operator has moved or
// deleted it, nothing is appended to what is another archive now. After any other
// error the segment may or may not exist, and the same Append can be
// tried again. A segment that does not belong at end is refused.
func (a *Archive) Append(ctx context.Context, end End, seg Segment) (End, error) {
	m := seg.Meta
	m.Format, m.Task, m.Timeline = Format, a.task, end.Timeline
	m.ChainHash = chainHash(end.chainHash(), m.BytesHash)
	object := a.SegmentName(end.Timeline, end.File, end.Offset)
	problem := m.problem()
	switch {
	case end.Closed:
		problem = fmt.Sprintf("timeline %d is closed", end.Timeline)
	case problem == "":
		problem = end.misfit(a.task, m)
	}
	if problem != "" {
		return end, fmt.Errorf("append %s: refused: %s", object, problem)
	}
	next, err := end.advance(m)
	if err != nil {
		return end, fmt.Errorf("append %s: %w", object, err)
	}
	frame, err := m.frame()
	if err != nil {
		return end, fmt.Errorf("append %s: %w", object, err)
	}
	if err := a.standsAt(ctx, end); err != nil {
		return end, fmt.Errorf("append %s: %w", object, err)
	}
	err = a.store.Create(ctx, object, frame, seg.Frames)
	if errors.Is(err, ErrExist) {
		return a.adopt(ctx, end, object, m)
	}
	if err != nil {
		return end, fmt.Errorf("append %s: %w", object, err)
	}
	return next, nil
}

// standsAt returns a *ConflictError unless end's last segment is where it was.
func (a *Archive) standsAt(ctx context.Context, end End) error {
	if !end.HasLast {
		return nil
	}
	object := a.SegmentName(end.Timeline, end.Last.File, end.Last.Start)
	there, _, err := ReadMeta(ctx, a.store, object)
	broken := (*BrokenError)(nil)
	switch {
	case errors.Is(err, ErrNotExist):
		return &ConflictError{object, "has gone since it was archived"}
	case errors.As(err, &broken):
		return &ConflictError{object, "was whole when it was archived, and " + broken.Problem}
	case err != nil:
		return fmt.Errorf("read %s: %w", object, err)
	case !there.sameAs(end.Last):
		return &ConflictError{object, "is another one than was archived"}
	}
	return nil
}

// adopt goes on from the object that is there if it is what mine would have been.
func (a *Archive) adopt(ctx context.Context, end End, object string, mine Meta) (End, error) {
	there, _, err := ReadMeta(ctx, a.store, object)
	if broken := (*BrokenError)(nil); errors.As(err, &broken) || errors.Is(err, ErrNotExist) {
		return end, &ConflictError{Object: object}
	}
	if err != nil {
		return end, fmt.Errorf("read back %s: %w", object, err)
	}
	if !there.sameAs(mine) {
		return end, &ConflictError{Object: object}
	}
	next, err := end.advance(there)
	if err != nil {
		return end, &ConflictError{Object: object}
	}
	return next, nil
}

// sameAs reports whether two segments hold the same bytes at the same place of
// the same chain, and end the same things.
func (m Meta) sameAs(o Meta) bool {
	return m.Task == o.Task && m.Timeline == o.Timeline && m.File == o.File &&
		m.Start == o.Start && m.End == o.End && m.BytesHash == o.BytesHash && m.ChainHash == o.ChainHash &&
		m.EndsFile == o.EndsFile && m.NextFile == o.NextFile && m.ClosesTimeline == o.ClosesTimeline &&
		m.ClosesReason == o.ClosesReason && m.ClosesServer == o.ClosesServer
}

// EmptySegment returns the segment without bytes that stands at end. The caller
// says what it ends: the file, or the timeline. It has the overlap of the data
// before it, so that a dump can resume across it.
func (e End) EmptySegment(term int64, serverID string) Segment {
	m := Meta{
		File: e.File, Start: e.Offset, End: e.Offset,
		LastTransactionEnd: -1, BytesHash: Hash(nil), OverlapHash: Hash(nil),
		Term: term, ServerID: serverID,
	}
	if e.Offset > 0 {
		m.OverlapStart, m.OverlapHash, m.OpenTransaction = e.Last.OverlapStart, e.Last.OverlapHash, e.Last.OpenTransaction
	}
	return Segment{Meta: m}
}

// EndFile appends the empty segment that says that end's file ends there and next
// follows: for a file of which no event tells that.
func (a *Archive) EndFile(ctx context.Context, end End, next string, term int64, serverID string) (End, error) {
	seg := end.EmptySegment(term, serverID)
	seg.Meta.EndsFile, seg.Meta.NextFile = true, next
	return a.Append(ctx, end, seg)
}

// A Closing is why a timeline is closed: for which next one. Who finds the timeline
// closed, and no next one, knows from it what was intended. It is zero where an
// earlier version has closed the timeline.
type Closing struct {
	Reason string // of the next timeline: ReasonGap, ...
	Server string // of which the next timeline is to be, as the source package names one
}

// Closing returns why the timeline that ends with e is closed.
func (e End) Closing() Closing {
	if !e.Closed {
		return Closing{}
	}
	return Closing{e.Last.ClosesReason, e.Last.ClosesServer}
}

// CloseTimeline appends the empty segment after which the timeline takes no more.
// A writer that still believes in the timeline conflicts with it; so does one that
// closes it for another reason or server.
func (a *Archive) CloseTimeline(ctx context.Context, end End, why Closing, term int64, serverID string) (End, error) {
	seg := end.EmptySegment(term, serverID)
	seg.Meta.ClosesTimeline, seg.Meta.ClosesReason, seg.Meta.ClosesServer = true, why.Reason, why.Server
	return a.Append(ctx, end, seg)
}
