package worker

import (
	"time"

	"binkeeper/archive"
	"binkeeper/worker/source"

	"github.com/rs/zerolog"
)

// settle reads the head of the stream where the course needs it: to begin a
// timeline, or to prove a file by its previous GTIDs. It returns the chain's
// end that the stream goes on from.
func (d *dump) settle(arch *archive.Archive, s scene, course course, stream stream, c *cutter) (archive.End, error) {
	if course.Begin == "" && !course.MatchPrevious {
		return s.End, nil
	}
	c.file, c.start = course.Start.File, 0
	if err := readHead(stream, c); err != nil {
		return s.End, err
	}
	d.progress.received.Add(int64(len(c.buf)))
	previous, _ := stream.Previous()
	if course.MatchPrevious {
		return d.endFile(arch, s, course, judgePrevious(previous, s, course.Start.File))
	}
	tl := newTimeline(s, course.Begin, course.Start.File, previous)
	tl.CreatedAt, tl.Term, tl.ServerID = time.Now(), d.t.t.Number(), d.t.m.w.cfg.ServerID
	if err := d.prove(d.reading, arch); err != nil {
		return s.End, err
	}
	if s.End.Timeline > 0 && !s.End.Closed {
		if _, err := arch.CloseTimeline(d.reading, s.End, archive.Closing{Reason: tl.Reason, Server: s.Server.Identity()}, tl.Term, tl.ServerID); err != nil {
			return s.End, err
		}
	}
	if err := arch.CreateTimeline(d.reading, tl); err != nil {
		return s.End, err
	}
	d.t.m.tally.began(tl)
	level := zerolog.WarnLevel
	if tl.Reason == archive.ReasonFirst {
		level = zerolog.InfoLevel
	}
	d.log.WithLevel(level).Int64("timeline", tl.Timeline).Str("reason", tl.Reason).Str("file", tl.FirstFile).Msg("new timeline")
	end, err := arch.Walk(d.reading, nil)
	if err == nil && (end.Timeline != tl.Timeline || end.HasLast) {
		// Somebody has gone on while this writer slept: what was read so far belongs
		// to no place there.
		err = &archive.ConflictError{Object: arch.SegmentName(tl.Timeline, tl.FirstFile, 0)}
	}
	return end, err
}

// endFile ends the file in which the archive ends, and of which the source sends no
// more, once the file behind it is proven: no event tells that it follows.
func (d *dump) endFile(arch *archive.Archive, s scene, course course, proven error) (archive.End, error) {
	if proven != nil || !course.EndsFile {
		return s.End, proven
	}
	if err := d.t.t.Barrier(d.reading); err != nil {
		return s.End, err
	}
	why := "the base name of the source's binlog files has changed, and no transaction is missing"
	if s.Torn {
		why = "the source's file ends in the middle of an event, as a crash left it"
	}
	d.log.Warn().Str("file", s.End.File).Int64("position", s.End.Offset).Str("next_file", course.Start.File).
		Msg(why + ": archived up to there, going on with the next one")
	return arch.EndFile(d.reading, s.End, course.Start.File, d.t.t.Number(), d.t.m.w.cfg.ServerID)
}

// readHead reads the two events that a file begins with: the format description,
// and the previous GTIDs where the server writes them.
func readHead(s stream, c *cutter) error {
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
