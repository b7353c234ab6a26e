package source

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"binkeeper/internal/binlog"
)

// beforeEvents is the offset of a file's first event.
const beforeEvents = int64(len(binlog.Magic))

// offsetOf returns the offset to ask the server for, which takes 32 bits. A farther
// start is a dump of the whole file.
func offsetOf(start binlog.Start) int64 {
	if start.Overlap == nil || start.Overlap.From > math.MaxUint32 {
		return beforeEvents
	}
	return max(start.Overlap.From, beforeEvents)
}

// Dump turns the connection into a stream, which ends with ctx. It returns once
// the source has shown the overlap, after which the stream goes on at To, or at
// the first byte of NextFile; an overlap beyond 4 GiB takes the time to read the
// file up to there. Besides the errors of Next, it returns ErrDiffers when what
// comes is not the overlap: other bytes, other events, an end of the file
// elsewhere, another file after it. A refusal of the first byte, such as
// ErrFileNotFound, is returned here too. After an error the connection is closed.
func (c *Conn) Dump(ctx context.Context, start binlog.Start) (*Stream, error) {
	if err := c.prepare(ctx, start); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("dump %s from %s: %w", start.File, c.target.Address(), err)
	}
	// The whole answer to the registration has been read, and the server says
	// nothing unasked: the buffer of the commands is empty. A byte that it had would be
	// missed at once, in the sequence of the packets.
	conn := &closeBelow{c.conn, c}
	s := newStream(ctx, conn, c.flavor(), start.File, offsetOf(start), 3*c.options.Heartbeat)
	s.release = closeOnDone(ctx, c.raw)
	s.together = c.options.Together
	if c.options.Arrived != nil {
		s.arrived = c.options.Arrived
	}
	if err := s.begin(start.Overlap); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("dump %s from %s: %w", start.File, c.target.Address(), err)
	}
	return s, nil
}

// closeBelow is the connection, of which Close does not wait for TLS's farewell.
type closeBelow struct {
	transport
	conn *Conn
}

func (b *closeBelow) Close() error { return b.conn.Close() }

// prepare sets the session up and asks for the dump. The variables have an old and
// a new name, of which each server reads one. The checksum algorithm is the
// server's own, so that events come as they are in the file. MariaDB's capability 4
// says that we understand all its events; without it the server rewrites them.
func (c *Conn) prepare(ctx context.Context, start binlog.Start) error {
	period := c.options.Heartbeat.Nanoseconds()
	set := fmt.Sprintf("SET @source_binlog_checksum = @@global.binlog_checksum, @master_binlog_checksum = @@global.binlog_checksum,"+
		" @source_heartbeat_period = %d, @master_heartbeat_period = %d", period, period)
	if c.options.ReplicaUUID != "" {
		uuid := strings.ReplaceAll(c.options.ReplicaUUID, "'", "")
		set += fmt.Sprintf(", @replica_uuid = '%s', @slave_uuid = '%s'", uuid, uuid)
	}
	if c.mariaDB {
		set += ", @mariadb_slave_capability = 4"
	}
	if _, err := c.rows(ctx, set, 0); err != nil {
		return err
	}
	if err := c.register(ctx); isRefused(err) {
		return c.lacks(ctx, dumpGrant)
	} else if err != nil {
		return err
	}
	return c.within(ctx, func() error { return c.commands.send(mysql.COM_BINLOG_DUMP, c.dumpCommand(start)) })
}

// dumpCommand is 4 bytes the offset, 2 flags, 4 the server id, and the file's name.
// Flag 2 asks MariaDB for the
// annotate events of the file, and MySQL for heartbeats with 64 bits of offset.
func (c *Conn) dumpCommand(start binlog.Start) []byte {
	const flags = 2
	body := binary.LittleEndian.AppendUint32(nil, uint32(offsetOf(start)))
	body = binary.LittleEndian.AppendUint16(body, flags)
	body = binary.LittleEndian.AppendUint32(body, c.options.ReplicaServerID)
	return append(body, start.File...)
}

// serverError is an error packet that no typed error stands for.
type serverError struct {
	code    uint16
	message string
}

func (e *serverError) Error() string {
	return fmt.Sprintf("the source reports error %d: %s", e.code, e.message)
}

// dumpError says what an error packet in the place of an event means. One code
// has many meanings, told apart by the words that both servers share.
func dumpError(code uint16, message string) error {
	err := error(&serverError{code, message})
	if code == errReplicaSameID {
		return fmt.Errorf("%w: %w", ErrEvicted, err)
	}
	if code != errFatalReadingBinlog {
		return err
	}
	for words, mode := range map[string]string{
		"Cannot replicate anonymous transaction when @@GLOBAL.GTID_MODE = ON": "ON",
		"Cannot replicate GTID-transaction when @@GLOBAL.GTID_MODE = OFF":     "OFF",
	} {
		if strings.Contains(message, words) {
			return &GTIDModeError{Mode: mode, Message: message}
		}
	}
	for words, meaning := range map[string]error{
		"the same server_uuid/server_id": ErrEvicted,
		"Could not find first log file":  ErrFileNotFound,
		"could not find next log":        ErrFileNotFound,
		"position > file size":           ErrPastEnd, // MySQL
		"from impossible position":       ErrPastEnd, // MariaDB
		"did not pass crc check":         errUnreadable,
		"bogus data in log event":        errUnreadable,
		"corrupted data in log event":    errUnreadable,
		"exceeded max_allowed_packet":    errUnreadable, // by what stands in the place of a size
		"I/O error reading":              errUnreadable,
		"truncated in the middle of":     ErrTorn, // MariaDB; MySQL cuts such an end off when it starts
	} {
		if strings.Contains(message, words) {
			return fmt.Errorf("%w: %w", meaning, err)
		}
	}
	return err
}
