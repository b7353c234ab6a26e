package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// Server is what a server says of itself.
type Server struct {
	Flavor      gtid.Flavor
	Version     string
	UUID        string // server_uuid; "" on MariaDB, which has none
	ServerID    uint32
	ServerUID   string // MariaDB's server_uid, or ""
	LogBin      bool
	SyncBinlog  int    // 1: every transaction is on the server's disk before it is visible
	ChecksumAlg string // of files to come: NONE or CRC32
	GTIDMode    string // MySQL's gtid_mode; "" on MariaDB
	// Executed is what has run on the server: gtid_executed, or MariaDB's
	// gtid_binlog_pos.
	Executed *gtid.Set
	// Purged is MySQL's gtid_purged: what ran before the oldest file that the server has.
	// It is nil on MariaDB.
	Purged *gtid.Set
}

// Identity is who the server is.
func (s Server) Identity() binlog.Server {
	return binlog.Server{Flavor: s.Flavor, UUID: s.UUID, ID: s.ServerID, UID: s.ServerUID}
}

// BinlogFile is one line of SHOW BINARY LOGS.
type BinlogFile struct {
	Name      string
	Size      int64 // in bytes, with the 512 of MySQL's encryption header
	Encrypted bool  // always false on MariaDB, which does not say
}

// rows runs one statement, within 30 s, and returns its rows as text, each of at least
// columns values; columns 0 is a statement without rows. An answer that is none is an
// *AnswerError, and closes the connection.
func (c *Conn) rows(ctx context.Context, statement string, columns int) (rows [][]string, err error) {
	err = c.exchange(ctx, statement, func() (err error) {
		if err = c.commands.send(mysql.COM_QUERY, []byte(statement)); err == nil {
			rows, err = c.commands.rows(columns)
		}
		return err
	})
	return rows, err
}

// row is rows for a statement that answers with one.
func (c *Conn) row(ctx context.Context, statement string, columns int) ([]string, error) {
	rows, err := c.rows(ctx, statement, columns)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, c.strange(statement, "%d rows", len(rows))
	}
	return rows[0], nil
}

// exchange is within for a command and its answer; command says in an error what was
// asked.
func (c *Conn) exchange(ctx context.Context, command string, do func() error) error {
	err := c.within(ctx, do)
	if bad := misshapenError(""); errors.As(err, &bad) {
		return c.strange(command, "%s", bad)
	}
	if err != nil {
		return fmt.Errorf("ask %s for %q: %w", c.target.Address(), brief(command), err)
	}
	return nil
}

// strange is the *AnswerError of a server that answers so. It closes the connection:
// what would come next on it is unknown.
func (c *Conn) strange(command, format string, args ...any) error {
	_ = c.Close()
	return &AnswerError{Address: c.target.Address(), Command: brief(command), Problem: brief(fmt.Sprintf(format, args...))}
}

// within does one exchange with the server. The connection is closed when ctx
// ends, or after 30 s.
func (c *Conn) within(ctx context.Context, exchange func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer within %s", answerTimeout))
	defer cancel()
	release := closeOnDone(ctx, c.raw)
	err := exchange()
	if ended := release(); ended != nil {
		return ended
	}
	return err
}

// Server asks the server who it is, and what it has executed.
func (c *Conn) Server(ctx context.Context) (Server, error) {
	statement := "SELECT VERSION(), @@global.server_id, @@global.log_bin, @@global.sync_binlog, @@global.binlog_checksum"
	columns := 6
	if c.mariaDB {
		statement += ", @@global.gtid_binlog_pos"
	} else {
		statement += ", @@global.gtid_executed, @@global.server_uuid, @@global.gtid_mode, @@global.gtid_purged"
		columns = 9
	}
	row, err := c.row(ctx, statement, columns)
	if err != nil {
		return Server{}, err
	}
	s, err := parseServer(c.flavor(), row)
	if err != nil {
		return Server{}, c.strange(statement, "%v", err)
	}
	if c.mariaDB {
		s.ServerUID, err = c.variable(ctx, "server_uid")
	}
	return s, err
}

// parseServer reads the values of Server's statement.
func parseServer(flavor gtid.Flavor, row []string) (Server, error) {
	const executed, uuid, mode, purged = 5, 6, 7, 8
	for i, value := range row {
		if i != executed && i != purged && !isWord(value) {
			return Server{}, fmt.Errorf("value %d is %q", i+1, brief(value))
		}
	}
	id, err := strconv.ParseUint(row[1], 10, 32)
	if err != nil {
		return Server{}, fmt.Errorf("server_id %q", row[1])
	}
	syncBinlog, err := strconv.ParseUint(row[3], 10, 32)
	if err != nil {
		return Server{}, fmt.Errorf("sync_binlog %q", row[3])
	}
	s := Server{Flavor: flavor, Version: row[0], ServerID: uint32(id), LogBin: row[2] == "1", SyncBinlog: int(syncBinlog), ChecksumAlg: row[4]}
	if s.Executed, err = gtid.Parse(flavor, row[executed]); err != nil {
		return Server{}, fmt.Errorf("what it has executed: %w", err)
	}
	if flavor == gtid.MySQL {
		s.UUID, s.GTIDMode = row[uuid], row[mode]
		if s.Purged, err = gtid.Parse(flavor, row[purged]); err != nil {
			return Server{}, fmt.Errorf("what it has purged: %w", err)
		}
	}
	return s, nil
}

// variable returns the value of a global variable, "" where there is none.
func (c *Conn) variable(ctx context.Context, name string) (string, error) {
	statement := "SHOW GLOBAL VARIABLES LIKE '" + name + "'"
	rows, err := c.rows(ctx, statement, 2)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	if value := rows[0][1]; len(rows) == 1 && isWord(value) {
		return value, nil
	}
	return "", c.strange(statement, "%d rows, the first %q", len(rows), brief(rows[0][1]))
}

func (c *Conn) flavor() gtid.Flavor {
	if c.mariaDB {
		return gtid.MariaDB
	}
	return gtid.MySQL
}

// AwaitExecuted waits until the transactions of set have been executed, for a few
// seconds at most, and returns what the server says then. MySQL shows a replica a
// transaction before its commit is done: what has just been archived may not be in
// gtid_executed yet.
func (c *Conn) AwaitExecuted(ctx context.Context, set *gtid.Set) (Server, error) {
	if !c.mariaDB {
		wait := fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET('%s', %d)", set, commitPatience)
		refused := (*mysql.MyError)(nil) // with GTIDs off, where there is nothing to wait for
		if _, err := c.rows(ctx, wait, 1); err != nil && !errors.As(err, &refused) {
			return Server{}, err
		}
	}
	return c.Server(ctx)
}

// commitPatience is how long, in seconds, a transaction that is in the binlog may
// take to be committed before it counts as lost: far longer than a commit, unless
// it waits for the acknowledgement of a semi-synchronous replica.
const commitPatience = 5

// BinlogFiles returns the files that the server has, oldest first. It is an
// *UnfitError when the server writes none, or does not show them to the account.
func (c *Conn) BinlogFiles(ctx context.Context) ([]BinlogFile, error) {
	const statement = "SHOW BINARY LOGS"
	rows, err := c.rows(ctx, statement, 2)
	var answer *mysql.MyError
	switch {
	case isRefused(err):
		return nil, c.lacks(ctx, c.listGrant())
	case errors.As(err, &answer) && answer.Code == mysql.ER_NO_BINARY_LOGGING:
		return nil, c.noBinlog()
	case err != nil:
		return nil, err
	}
	files := make([]BinlogFile, len(rows))
	for i, row := range rows {
		size, err := strconv.ParseUint(row[1], 10, 63)
		if err != nil || !isFileName(row[0]) {
			return nil, c.strange(statement, "file %q of %q bytes", brief(row[0]), brief(row[1]))
		}
		files[i] = BinlogFile{Name: row[0], Size: int64(size), Encrypted: len(row) > 2 && row[2] == "Yes"}
	}
	return files, nil
}

// ReplicaIDs returns the server ids that the server shows, its own first, so that
// a new replica can take another. MariaDB shows its replicas only to accounts
// with more grants than a backup needs; then it is its own alone.
func (c *Conn) ReplicaIDs(ctx context.Context) ([]uint32, error) {
	own, err := c.rows(ctx, "SELECT @@global.server_id", 1)
	if err != nil {
		return nil, err
	}
	statement := "SHOW REPLICAS"
	if c.mariaDB {
		statement = "SHOW SLAVE HOSTS"
	}
	rows, err := c.rows(ctx, statement, 1)
	var refused *mysql.MyError
	if errors.As(err, &refused) && refused.Code == mysql.ER_PARSE_ERROR { // MySQL before 8.0.22
		rows, err = c.rows(ctx, "SHOW SLAVE HOSTS", 1)
	}
	if err != nil && !isRefused(err) {
		return nil, err
	}
	var ids []uint32
	for _, row := range append(own, rows...) {
		id, err := strconv.ParseUint(row[0], 10, 32)
		if err != nil {
			return nil, c.strange(statement, "server id %q", brief(row[0]))
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

// register announces the replica, as servers ask before a dump:
//
//	1 byte the command, 4 the server id, then host name, user and password with
//	1 byte of length each, 2 bytes of port, 4 of rank, 4 of the source's server id
func (c *Conn) register(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil || len(host) > 60 { // the server's HOSTNAME_LENGTH of old
		host = ""
	}
	body := binary.LittleEndian.AppendUint32(nil, c.options.ReplicaServerID)
	body = append(body, byte(len(host)))
	body = append(body, host...)
	body = append(body, make([]byte, 1+1+2+4+4)...)
	return c.exchange(ctx, "the registration of a replica", func() error {
		if err := c.commands.send(mysql.COM_REGISTER_SLAVE, body); err != nil {
			return err
		}
		return c.commands.ok()
	})
}
