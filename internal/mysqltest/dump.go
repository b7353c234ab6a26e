package mysqltest

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"binkeeper/internal/binlog"
)

// errGone ends the serving of a connection whose client has left.
var errGone = errors.New("the client is gone")

// fatal is the refusal or the end of a dump.
func fatal(text string) error {
	return mysql.NewError(mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG, text)
}

// dump sends the binlog from where the client asks, until its connection ends. data is 4 bytes the offset, 2 flags, 4 the
// replica's server id, and the file's name.
func (c *client) dump(data []byte) error {
	if len(data) < 10 {
		return fatal("malformed request")
	}
	name, offset := string(data[10:]), int64(binary.LittleEndian.Uint32(data))
	s := c.source
	s.mu.Lock()
	f := s.find(name)
	switch {
	case f == nil:
		s.mu.Unlock()
		return fatal("Could not find first log file name in binary log index file")
	case offset > int64(len(f.data)):
		s.mu.Unlock()
		return fatal("Client requested source to start replication from position > file size")
	}
	s.begun++
	older := s.dumps[c.replica]
	s.dumps[c.replica] = c.net
	id := s.who.ServerID
	s.mu.Unlock()
	if older != nil && older != c.net {
		older.Close() // a server says first why
	}
	d := &dumping{client: c, serverID: id, file: f, offset: offset}
	if err := d.send(build(d.serverID, binlog.TypeRotate, binlog.FlagArtificial, 0, rotateTo(name, offset))); err != nil {
		return errGone
	}
	if offset > binlog.MagicSize {
		if err := d.send(build(d.serverID, binlog.TypeFormatDescription, 0, 0, formatBody())); err != nil {
			return errGone
		}
	}
	for d.step() == nil {
	}
	return errGone
}

func rotateTo(file string, offset int64) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(offset)), file...)
}

// dumping is a dump under way.
type dumping struct {
	client   *client
	serverID uint32 // of the source
	file     *file
	offset   int64
}

func (d *dumping) send(event []byte) error {
	return d.client.conn.WritePacket(append(make([]byte, 5, 5+len(event)), event...)) // 4 bytes for the header, and a zero
}

// step sends what there is, goes on with the next file, or waits for more with a heartbeat.
func (d *dumping) step() error {
	s := d.client.source
	s.mu.Lock()
	data, changed, next := d.file.data, s.changed, s.after(d.file)
	stands := s.conns[d.client.net]
	s.mu.Unlock()
	if !stands {
		return errGone
	}
	for d.offset < int64(len(data)) {
		size := int64(binlog.ParseHeader(data[d.offset:]).Size)
		if err := d.send(data[d.offset : d.offset+size]); err != nil {
			return err
		}
		d.offset += size
	}
	if next != nil {
		d.file, d.offset = next, binlog.MagicSize
		return d.send(build(d.serverID, binlog.TypeRotate, binlog.FlagArtificial, 0, rotateTo(next.name, d.offset)))
	}
	select {
	case <-changed:
		return nil
	case <-time.After(d.client.heartbeat):
		return d.send(build(d.serverID, binlog.TypeHeartbeat, 0, uint32(d.offset), []byte(d.file.name)))
	}
}

// after is the file behind f, nil when it is the newest. A file that is not there any more has none: its dump waits.
func (s *Source) after(f *file) *file {
	for i, other := range s.files {
		if other.name == f.name && i+1 < len(s.files) {
			return s.files[i+1]
		}
	}
	return nil
}
