package dump

import (
	"time"

	"binkeeper/archive"
	"binkeeper/worker/source"

	"github.com/rs/zerolog"
)

// settle reads the head of the stream where the plan needs it: to begin a
// timeline, or to prove a file by its previous GTIDs. It returns the chain's
// end that the stream goes on from.
func (d *Dump) settle(arch *archive.Archive, s facts, plan plan, stream stream, c *segmenter) (archive.End, error) {
	if plan.Begin == "" && !plan.MatchPrevious {
		return s.End, nil
	}
	c.file, c.start = plan.Start.File, 0
	if err := readHead(stream, c); err != nil {
		return s.End, err
	}
	d.progress.received.Add(int64(len(c.buf)))
	previous, _ := stream.Previous()
	if plan.MatchPrevious {
		return d.endFile(arch, s, plan, provePrevious(previous, s, plan.Start.File))
	}
	tl := newTimeline(s, plan.Begin, plan.Start.File, previous)
	tl.CreatedAt, tl.Term, tl.ServerID = time.Now(), d.cfg.Term.Number(), d.cfg.ServerID
	if err := d.prove(d.reading, arch); err != nil {
		return s.End, err
	}
	if s.End.Timeline > 0 && !s.End.Closed {
		if _, err := arch.CloseTimeline(d.reading, s.End, archive.Closing{Reason: tl.Reason, Server: s.Server.Identity().String()}, tl.Term, tl.ServerID); err != nil {
			return s.End, err
		}
	}
	if err := arch.CreateTimeline(d.reading, tl); err != nil {
		return s.End, err
	}
	d.cfg.Observer.BeganTimeline(tl)
	level := zerolog.WarnLevel
	if tl.Reason == archive.ReasonFirst {
		level = zerolog.InfoLevel
	}
	d.cfg.Logger.WithLevel(level).Int64("timeline", tl.Timeline).Str("reason", tl.Reason).Str("file", tl.FirstFile).Msg("new timeline")
	end, err := arch.Walk(d.reading, nil)
	if err == nil && (end.Timeline != tl.Timeline || end.HasLast) {
		// Another writer has gone on while this one slept: what this one has read
		// belongs nowhere there.
		err = &archive.ConflictError{Object: arch.SegmentName(tl.Timeline, tl.FirstFile, 0)}
	}
	return end, err
}

// endFile ends the file in which the archive ends, and of which the source sends no
// more, once the file behind it is proven: no event tells that it follows.
func (d *Dump) endFile(arch *archive.Archive, s facts, plan plan, proven error) (archive.End, error) {
	if proven != nil || !plan.EndsFile {
		return s.End, proven
	}
	if err := d.cfg.Term.Barrier(d.reading); err != nil {
		return s.End, err
	}
	why := "the base name of the source's binlog files has changed, and no transaction is missing"
	if s.Torn {
		why = "the source's file ends in the middle of an event, as a crash left it"
	}
	d.cfg.Logger.Warn().Str("file", s.End.File).Int64("position", s.End.Offset).Str("next_file", plan.Start.File).
		Msg(why + ": archived up to there, going on with the next one")
	return arch.EndFile(d.reading, s.End, plan.Start.File, d.cfg.Term.Number(), d.cfg.ServerID)
}

// readHead reads the two events that a file begins with: the format description,
// and the previous GTIDs where the server writes them.
func readHead(s stream, c *segmenter) error {
	for c.events < 2 && c.nextFile == "" {
		ev, err := c.next(s, time.Time{})
		if err != nil {
			return err
		}
		if ev.Kind == source.Heartbeat {
			return nil
		}
		c.nextFile = ev.NextFile
	}
	return nil
}
