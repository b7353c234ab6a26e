package source

import (
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"binkeeper/internal/binlog"
)

// begin reads up to where the caller's events begin: past the artificial rotate,
// and past the overlap if there is one.
func (s *Stream) begin(overlap *binlog.Overlap) error {
	for !s.named {
		if _, err := s.advance(nil, time.Time{}); err != nil {
			return differs(overlap, err)
		}
	}
	if overlap == nil {
		return nil
	}
	if err := s.verify(overlap); err != nil {
		return differs(overlap, err)
	}
	if overlap.NextFile != "" {
		err := s.follow(overlap.NextFile)
		if errors.Is(err, ErrTorn) {
			return err // what is whole of the file is archived, and the next one was known
		}
		return differs(overlap, err)
	}
	s.tracker.Resume(overlap.Open)
	return nil
}

// differs adds ErrDiffers to an error that the overlap's absence from the source
// explains: a file that ends too early, or garbage, which is what a start in the
// middle of an event gives.
func differs(overlap *binlog.Overlap, err error) error {
	var corrupt *CorruptError
	var refused *serverError
	explains := errors.Is(err, ErrPastEnd) || errors.As(err, &corrupt) ||
		errors.As(err, &refused) && refused.code == errFatalReadingBinlog && !errors.Is(err, ErrEvicted) && !errors.Is(err, ErrFileNotFound)
	if overlap == nil || !explains || errors.Is(err, ErrDiffers) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDiffers, err)
}

// BehindGTID returns the part of the overlap behind the last event in it that opens a
// transaction: a source that refuses to send that event for its gtid_mode can show the
// rest. raw is the overlap's bytes. It is false when nothing would be left, or nothing less.
func BehindGTID(o binlog.Overlap, raw []byte) (binlog.Overlap, bool) {
	at, from := max(o.From, beforeEvents)-o.From, int64(-1)
	for at+binlog.HeaderSize <= int64(len(raw)) {
		h := binlog.ParseHeader(raw[at:])
		if h.Size < binlog.HeaderSize {
			return o, false
		}
		at += int64(h.Size)
		switch h.Type {
		case binlog.TypeGTID, binlog.TypeAnonymousGTID, binlog.TypeTaggedGTID:
			from = at
		}
	}
	if from < 0 || from >= int64(len(raw)) {
		return o, false
	}
	o.From, o.Hash = o.From+from, fmt.Sprintf("%016x", xxhash.Sum64(raw[from:]))
	return o, true
}

// verify reads the overlap, and compares its hash.
func (s *Stream) verify(overlap *binlog.Overlap) error {
	hash, file := xxhash.New(), s.file
	var buf []byte
	for s.offset < overlap.To {
		var event *Event
		var err error
		if buf, event, err = s.Next(buf[:0], time.Time{}); err != nil {
			return err
		}
		if event.Kind != Data || s.file != file {
			return fmt.Errorf("%w: the source's %s ends before %d, the archived one does not", ErrDiffers, file, overlap.To)
		}
		if event.End > overlap.To || event.Start < overlap.From && overlap.From < event.End && overlap.From != beforeEvents {
			return fmt.Errorf("%w: an event of %s from %d to %d, the archived one begins at %d and ends at %d",
				ErrDiffers, s.file, event.Start, event.End, overlap.From, overlap.To)
		}
		s.arrived.Add(event.End - event.Start)
		if event.End > overlap.From {
			_, _ = hash.Write(buf[max(0, overlap.From-event.Start):])
		}
	}
	if got := fmt.Sprintf("%016x", hash.Sum64()); got != overlap.Hash {
		return fmt.Errorf("%w: the bytes of %s from %d to %d hash to %s, the archived ones to %s", ErrDiffers, s.file, overlap.From, overlap.To, got, overlap.Hash)
	}
	return nil
}

// follow reads the end of the file, which has to be here, and enters the next one.
func (s *Stream) follow(next string) error {
	at, file := s.offset, s.file
	_, err := s.advance(nil, time.Time{})
	for err == nil && s.event.Kind == skipped {
		_, err = s.advance(nil, time.Time{})
	}
	if err != nil {
		return err
	}
	if s.event.Kind != turned && s.event.Kind != FileEnd {
		return fmt.Errorf("%w: %s goes on after %d, where the archived one ends", ErrDiffers, file, at)
	}
	if s.file != next {
		return fmt.Errorf("%w: %s is followed by %s, the archived one by %s", ErrDiffers, file, s.file, next)
	}
	s.tracker.Resume("")
	return nil
}
