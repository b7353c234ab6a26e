package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

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

// Identity names the server for good: MySQL by its server_uuid, MariaDB by its server
// id and, where it has one, its server_uid.
func (s Server) Identity() string {
	if s.Flavor == gtid.MySQL {
		return s.UUID
	}
	return strings.TrimSpace(fmt.Sprintf("server id %d %s", s.ServerID, s.ServerUID))
}

// BinlogFile is one line of SHOW BINARY LOGS.
type BinlogFile struct {
	Name      string
	Size      int64 // in bytes, with the 512 of MySQL's encryption header
	Encrypted bool  // always false on MariaDB, which does not say
}

// rows runs one statement, within 30 s, and returns its rows as text.
func (c *Conn) rows(ctx context.Context, statement string) ([][]string, error) {
	var result *mysql.Result
	err := c.within(ctx, func() (err error) {
		result, err = c.client.Execute(statement)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("run %q on %s: %w", statement, c.target.Address(), err)
	}
	defer result.Close()
	if result.Resultset == nil {
		return nil, nil
	}
	rows := make([][]string, result.RowNumber())
	for i := range rows {
		for j := range result.ColumnNumber() {
			value, err := result.GetString(i, j)
			if err != nil {
				return nil, fmt.Errorf("read row %d of %q: %w", i, statement, err)
			}
			rows[i] = append(rows[i], strings.Clone(value))
		}
	}
	return rows, nil
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
	if c.mariaDB {
		statement += ", @@global.gtid_binlog_pos"
	} else {
		statement += ", @@global.gtid_executed, @@global.server_uuid, @@global.gtid_mode, @@global.gtid_purged"
	}
	rows, err := c.rows(ctx, statement)
	if err != nil {
		return Server{}, err
	}
	if len(rows) != 1 {
		return Server{}, fmt.Errorf("run %q on %s: %d rows", statement, c.target.Address(), len(rows))
	}
	row := rows[0]
	s := Server{Flavor: c.flavor(), Version: row[0], LogBin: row[2] == "1", ChecksumAlg: row[4]}
	if _, err := fmt.Sscan(row[1]+" "+row[3], &s.ServerID, &s.SyncBinlog); err != nil {
		return Server{}, fmt.Errorf("read server_id %q and sync_binlog %q: %w", row[1], row[3], err)
	}
	if s.Executed, err = gtid.Parse(s.Flavor, row[5]); err != nil {
		return Server{}, fmt.Errorf("read what %s has executed: %w", c.target.Address(), err)
	}
	if !c.mariaDB {
		s.UUID, s.GTIDMode = row[6], row[7]
		if s.Purged, err = gtid.Parse(s.Flavor, row[8]); err != nil {
			return Server{}, fmt.Errorf("read what %s has purged: %w", c.target.Address(), err)
		}
		return s, nil
	}
	rows, err = c.rows(ctx, "SHOW GLOBAL VARIABLES LIKE 'server_uid'")
	if err == nil && len(rows) == 1 {
		s.ServerUID = rows[0][1]
	}
	return s, err
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
		if _, err := c.rows(ctx, wait); err != nil && !errors.As(err, &refused) {
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
	rows, err := c.rows(ctx, "SHOW BINARY LOGS")
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
		files[i] = BinlogFile{Name: row[0], Encrypted: len(row) > 2 && row[2] == "Yes"}
		if _, err := fmt.Sscan(row[1], &files[i].Size); err != nil {
			return nil, fmt.Errorf("read the size of binlog file %s: %w", row[0], err)
		}
	}
	return files, nil
}

// ReplicaIDs returns the server ids that the server shows, its own first, so that
// a new replica can take another. MariaDB shows its replicas only to accounts
// with more grants than a backup needs; then it is its own alone.
func (c *Conn) ReplicaIDs(ctx context.Context) ([]uint32, error) {
	own, err := c.rows(ctx, "SELECT @@global.server_id")
	if err != nil {
		return nil, err
	}
	statement := "SHOW REPLICAS"
	if c.mariaDB {
		statement = "SHOW SLAVE HOSTS"
	}
	rows, err := c.rows(ctx, statement)
	var refused *mysql.MyError
	if errors.As(err, &refused) && refused.Code == mysql.ER_PARSE_ERROR { // MySQL before 8.0.22
		rows, err = c.rows(ctx, "SHOW SLAVE HOSTS")
	}
	if err != nil && !isRefused(err) {
		return nil, err
	}
	var ids []uint32
	for _, row := range append(own, rows...) {
		var id uint32
		if _, err := fmt.Sscan(row[0], &id); err != nil {
			return nil, fmt.Errorf("read server id %q: %w", row[0], err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// isRefused reports whether a statement failed for want of a grant.
func isRefused(err error) bool {
	var answer *mysql.MyError
	return errors.As(err, &answer) && (answer.Code == errSpecificAccessDenied || answer.Code == errAccessDenied)
}

// CheckFit returns an *UnfitError when the server's binlog cannot be backed up
// through this account: no binlog, a missing grant, or encryption by MariaDB,
// which leaves bytes of the file out of the stream. It finds out by trying, so
// roles, ALL PRIVILEGES and older names of the grants count.
func (c *Conn) CheckFit(ctx context.Context) error {
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	if !server.LogBin {
		return c.noBinlog()
	}
	missing, err := c.missingGrants(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return c.lacks(ctx, missing...)
	}
	if rows, err := c.rows(ctx, "SHOW GLOBAL VARIABLES LIKE 'encrypt_binlog'"); err != nil {
		return err
	} else if c.mariaDB && len(rows) == 1 && rows[0][1] == "ON" {
		return &UnfitError{Address: c.target.Address(), Problem: "encrypt_binlog is on, so that it does not send its files whole",
			Advice: "start the server with encrypt_binlog off"}
	}
	return nil
}

func (c *Conn) noBinlog() error {
	return &UnfitError{Address: c.target.Address(), Problem: "log_bin is off", Advice: "start the server with log_bin on"}
}

// dumpGrant is the grant that a dump needs.
const dumpGrant = "REPLICATION SLAVE"

// listGrant is the grant that SHOW BINARY LOGS needs.
func (c *Conn) listGrant() string {
	if c.mariaDB {
		return "BINLOG MONITOR"
	}
	return "REPLICATION CLIENT"
}

// lacks returns the *UnfitError of an account without the grants missing.
func (c *Conn) lacks(ctx context.Context, missing ...string) error {
	account, err := c.account(ctx)
	if err != nil {
		return err
	}
	grants := strings.Join(missing, ", ")
	return &UnfitError{Address: c.target.Address(), Problem: fmt.Sprintf("account %s lacks %s", account, grants),
		Statement: fmt.Sprintf("GRANT %s ON *.* TO %s", grants, account)}
}

// missingGrants tries what a backup does.
func (c *Conn) missingGrants(ctx context.Context) (missing []string, err error) {
	if err := c.register(ctx); isRefused(err) {
		missing = append(missing, dumpGrant)
	} else if err != nil {
		return nil, err
	}
	if _, err := c.rows(ctx, "SHOW BINARY LOGS"); isRefused(err) {
		missing = append(missing, c.listGrant())
	} else if err != nil {
		return nil, err
	}
	return missing, nil
}

// account returns the account that the server took us for, quoted for SQL.
func (c *Conn) account(ctx context.Context) (string, error) {
	rows, err := c.rows(ctx, "SELECT CURRENT_USER()")
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(rows[0][0], '@')
	quote := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	return quote(rows[0][0][:at]) + "@" + quote(rows[0][0][at+1:]), nil
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
	packet := append(make([]byte, 4), mysql.COM_REGISTER_SLAVE)
	packet = binary.LittleEndian.AppendUint32(packet, c.options.ReplicaServerID)
	packet = append(packet, byte(len(host)))
	packet = append(packet, host...)
	packet = append(packet, make([]byte, 1+1+2+4+4)...)
	return c.within(ctx, func() error {
		c.client.ResetSequence()
		if err := c.client.WritePacket(packet); err != nil {
			return fmt.Errorf("register as replica at %s: %w", c.target.Address(), err)
		}
		if _, err := c.client.ReadOKPacket(); err != nil {
			return fmt.Errorf("register as replica at %s: %w", c.target.Address(), err)
		}
		return nil
	})
}
