package mysqltest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/server"
)

// serve answers one client until its connection ends.
func (s *Source) serve(nc net.Conn) {
	c := &client{EmptyHandler: server.EmptyHandler{}, source: s, net: nc, heartbeat: 30 * time.Second}
	accounts := server.NewInMemoryAuthenticationHandler(mysql.AUTH_NATIVE_PASSWORD)
	s.mu.Lock()
	password := Password
	if s.denies {
		password = "another"
	}
	s.mu.Unlock()
	err := accounts.AddUser(User, password)
	if err != nil {
		panic(err)
	}
	if c.conn, err = s.protocol.NewCustomizedConn(nc, accounts, c); err != nil {
		return
	}
	for c.conn.HandleCommand() == nil && !c.over {
	}
}

// A client is one connection, and what its session has set.
type client struct {
	server.EmptyHandler
	source    *Source
	net       net.Conn
	conn      *server.Conn
	replica   string // its UUID
	heartbeat time.Duration
	over      bool // the connection has become a dump, which has ended
}

// HandleQuery answers what a replica asks.
func (c *client) HandleQuery(query string) (*mysql.Result, error) {
	c.source.mu.Lock()
	defer c.source.mu.Unlock()
	switch {
	case strings.HasPrefix(query, "SET "):
		c.set(strings.TrimPrefix(query, "SET "))
		return nil, nil
	case query == "SHOW BINARY LOGS":
		var rows [][]any
		for _, f := range c.source.files {
			rows = append(rows, []any{f.name, strconv.Itoa(len(f.data)), "No"})
		}
		return table([]string{"Log_name", "File_size", "Encrypted"}, rows...)
	case strings.HasPrefix(query, "SHOW "):
		return table([]string{"Server_Id", "Value"})
	case strings.HasPrefix(query, "SELECT "):
		return c.selects(strings.TrimPrefix(query, "SELECT "))
	}
	return nil, mysql.NewError(mysql.ER_PARSE_ERROR, "this source does not know: "+query)
}

// set records the session's variables.
func (c *client) set(list string) {
	for _, assignment := range strings.Split(list, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(assignment), " = ")
		switch name {
		case "@source_heartbeat_period":
			if ns, err := strconv.ParseInt(value, 10, 64); err == nil && ns > 0 {
				c.heartbeat = time.Duration(ns)
			}
		case "@replica_uuid":
			c.replica = strings.Trim(value, "'")
		}
	}
}

// selects answers a list of variables and functions.
func (c *client) selects(list string) (*mysql.Result, error) {
	s := c.source
	mode := "ON"
	if s.noGTIDs {
		mode = "OFF"
	}
	known := map[string]string{
		"VERSION()": "9.7.4", "CURRENT_USER()": User + "@%", "@@global.server_id": strconv.FormatUint(uint64(s.who.ServerID), 10), "@@global.log_bin": "1",
		"@@global.sync_binlog": "1", "@@global.binlog_checksum": "CRC32", "@@global.gtid_executed": s.set(s.executed), "@@global.gtid_purged": s.set(s.purged),
		"@@global.server_uuid": s.who.UUID, "@@global.gtid_mode": mode,
	}
	if strings.HasPrefix(list, "WAIT_FOR_EXECUTED_GTID_SET") {
		known[list] = "0"
	}
	names := []string{list}
	if _, ok := known[list]; !ok {
		names = strings.Split(list, ", ")
	}
	var row []any
	for _, name := range names {
		value, ok := known[name]
		if !ok {
			return nil, mysql.NewError(mysql.ER_UNKNOWN_SYSTEM_VARIABLE, "this source does not know: "+name)
		}
		row = append(row, value)
	}
	return table(names, row)
}

// set is the text of the transactions 1 to n.
func (s *Source) set(n int64) string {
	switch {
	case n == 0 || s.noGTIDs:
		return ""
	case n == 1:
		return s.who.UUID + ":1"
	}
	return fmt.Sprintf("%s:1-%d", s.who.UUID, n)
}

func table(names []string, rows ...[]any) (*mysql.Result, error) {
	set, err := mysql.BuildSimpleTextResultset(names, rows)
	if err != nil {
		return nil, err
	}
	return mysql.NewResult(set), nil
}

// HandleOtherCommand answers the registration of a replica, and turns the connection into a dump.
func (c *client) HandleOtherCommand(command byte, data []byte) error {
	switch command {
	case mysql.COM_REGISTER_SLAVE:
		return nil
	case mysql.COM_BINLOG_DUMP:
		c.over = true
		return c.dump(data)
	}
	return mysql.NewError(mysql.ER_UNKNOWN_COM_ERROR, "this source does not know the command")
}
