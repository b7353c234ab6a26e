package source

import (
	"fmt"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// check checks an event and takes it into the stream's state. s.event says then what
// it is: Data, to be handed out, or what is not in the file.
func (s *Stream) check(event []byte) error {
	if len(event) < binlog.HeaderSize {
		return s.corrupt("event of %d bytes", len(event))
	}
	h := &s.header
	h.Parse(event)
	if int(h.Size) != len(event) {
		return s.corrupt("event of type %d says %d bytes and has %d", h.Type, h.Size, len(event))
	}
	switch {
	case !s.named && (h.Type != binlog.TypeRotate || h.Flags&binlog.FlagArtificial == 0):
		return s.corrupt("the dump starts with an event of type %d", h.Type)
	case h.Type == binlog.TypeHeartbeat || h.Type == binlog.TypeHeartbeat2:
		return s.heartbeat(h, event[binlog.HeaderSize:])
	case h.Flags&binlog.FlagArtificial != 0 && h.Type == binlog.TypeRotate:
		return s.turn(event)
	case h.Flags&binlog.FlagArtificial != 0:
		s.event = Event{Kind: skipped}
		return nil
	case !s.formed && s.offset > 0:
		return s.formatAgain(h, event)
	}
	return s.data(h, event)
}

// heartbeat checks that an idle source stands where the stream does.
func (s *Stream) heartbeat(h *binlog.Header, body []byte) error {
	if !heartbeatAt(h, body, s.offset) {
		return s.corrupt("the source is idle at another offset, %d in 32 bits", h.LogPos)
	}
	s.event = Event{Kind: Heartbeat, Type: h.Type, Time: h.Time, Start: s.offset, End: s.offset}
	return nil
}

// turn takes an artificial rotate event: the one that starts every dump, or the one
// that starts every further file. It may carry a checksum or none, whatever the
// file does.
func (s *Stream) turn(event []byte) error {
	body := event[binlog.HeaderSize:]
	if binlog.ChecksumFits(event, binlog.ParseHeader(event)) {
		body = body[:len(body)-binlog.ChecksumSize]
	}
	file, position, err := rotation(body)
	if err != nil {
		return s.corrupt("%v", err)
	}
	switch {
	case !s.named:
		s.named = true
		if file != s.file || position != uint64(s.from) {
			return s.corrupt("asked for offset %d, the source starts with %s at %d", s.from, file, position)
		}
		s.event = Event{Kind: skipped}
		return nil
	case position != uint64(len(binlog.Magic)):
		return s.corrupt("the source goes on with %s at %d", file, position)
	case s.ended != "" && s.ended != file:
		return s.corrupt("the file ends with a rotation to %s, and the source goes on with %s", s.ended, file)
	default:
		s.event = s.enter(file)
		return nil
	}
}

// rotation reads which file a rotate event names, and where in it.
func rotation(body []byte) (file string, position uint64, err error) {
	name, position, err := binlog.ParseRotate(body)
	if err == nil && !isFileName(string(name)) {
		err = fmt.Errorf("a rotation to %q", brief(string(name)))
	}
	return string(name), position, err
}

// enter moves the stream to the first byte of the next file.
func (s *Stream) enter(file string) Event {
	event := Event{Kind: FileEnd, Type: binlog.TypeRotate, Start: s.offset, End: s.offset, NextFile: file}
	if s.ended != "" {
		event.Kind = turned
	}
	s.file, s.offset, s.ended, s.formed, s.crc = file, 0, "", false, false
	s.tracker.NewFile()
	return event
}

// formatAgain takes the format description that precedes a dump from the middle of
// a file, and is not at this place in it.
func (s *Stream) formatAgain(h *binlog.Header, event []byte) error {
	if h.Type != binlog.TypeFormatDescription {
		return s.corrupt("event of type %d before the format description", h.Type)
	}
	s.event = Event{Kind: skipped}
	return s.format(h, event)
}

// format learns from the format description whether the file has checksums.
func (s *Stream) format(h *binlog.Header, event []byte) error {
	crc, err := binlog.ParseFormat(event)
	if err != nil {
		return s.corrupt("%v", err)
	}
	if crc && !binlog.ChecksumFits(event, h) {
		return s.corrupt("the checksum of the format description does not fit")
	}
	s.formed, s.crc = true, crc
	return nil
}

// data checks an event of the file, and moves the offset past it.
func (s *Stream) data(h *binlog.Header, event []byte) error {
	end := s.offset + int64(len(event))
	if s.offset == 0 {
		end += int64(len(binlog.Magic))
	}
	if err := s.checkData(h, event, end); err != nil {
		return err
	}
	body := event[binlog.HeaderSize:]
	if s.crc || h.Type == binlog.TypeFormatDescription {
		body = body[:len(body)-binlog.ChecksumSize]
	}
	begins, completes, err := s.tracker.See(h, body)
	if err != nil {
		return s.corrupt("event of type %d: %v", h.Type, err)
	}
	// Field by field: the CPU waits where it reads a struct as a whole whose fields were
	// just written, and half of an event's time went into that.
	e := &s.event
	e.Kind, e.Type, e.Time = Data, h.Type, h.Time
	e.Start, e.End, e.NextFile = s.offset, end, ""
	e.Begins, e.Completes = begins, completes
	if h.Type == binlog.TypeRotate {
		next, _, err := rotation(body)
		if err != nil {
			return s.corrupt("%v", err)
		}
		s.ended = next
		s.event.NextFile = s.ended
	}
	s.offset = end
	return nil
}

// checkData checks the event's place in the file, and its checksum.
func (s *Stream) checkData(h *binlog.Header, event []byte, end int64) error {
	switch {
	case s.ended != "":
		return s.corrupt("event of type %d after the rotation to %s", h.Type, s.ended)
	case (s.offset == 0) != (h.Type == binlog.TypeFormatDescription):
		return s.corrupt("event of type %d", h.Type)
	case h.LogPos != uint32(end) && (h.LogPos != 0 || s.flavor != gtid.MariaDB):
		return s.corrupt("event of type %d and %d bytes says that it ends at %d", h.Type, len(event), h.LogPos)
	case h.Type == binlog.TypeFormatDescription:
		return s.format(h, event)
	case s.crc && !binlog.ChecksumFits(event, h):
		return s.corrupt("the checksum of an event of type %d and %d bytes does not fit", h.Type, len(event))
	}
	return nil
}
