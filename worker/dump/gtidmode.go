package dump

import (
	"binkeeper/archive"
	"binkeeper/internal/binlog"
	"binkeeper/worker/source"
)

// dumpBehindGTID begins the dump once more, on another connection, after the source has
// refused, for its gtid_mode, to send the last archived transaction again: the rest of
// that one, behind its GTID event, is not refused. It is a smaller overlap, and proves
// the continuation all the same. It returns refused where there is none.
func (d *Dump) dumpBehindGTID(arch *archive.Archive, end archive.End, start binlog.Start, refused error) (*source.Stream, error) {
	o := start.Overlap
	if o == nil || o.To-o.From > archive.MaxOverlap { // a longer one is a single event
		return nil, refused
	}
	raw, err := arch.ReadOverlap(d.reading, end)
	if err != nil {
		return nil, err
	}
	smaller, ok := source.BehindGTID(*o, raw)
	if !ok {
		return nil, refused
	}
	conn, err := d.connect(d.reading)
	if err != nil {
		return nil, err
	}
	server, err := conn.Server(d.reading)
	if err == nil && !server.Identity().Same(d.server.Identity()) {
		err = errOtherServer
	}
	if err == nil {
		err = d.prove(d.reading, arch)
	}
	var stream *source.Stream
	if err == nil {
		stream, err = conn.Dump(d.reading, binlog.Start{File: start.File, Overlap: &smaller})
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	d.cfg.Logger.Info().Str("file", start.File).Int64("from", smaller.From).Int64("to", smaller.To).
		Msg("the source does not send the last archived transaction again in its present gtid_mode; its end is the same")
	return stream, nil
}
