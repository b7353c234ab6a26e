package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
)

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
	if encrypted, err := c.variable(ctx, "encrypt_binlog"); err != nil {
		return err
	} else if c.mariaDB && encrypted == "ON" {
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
	if _, err := c.rows(ctx, "SHOW BINARY LOGS", 2); isRefused(err) {
		missing = append(missing, c.listGrant())
	} else if err != nil {
		return nil, err
	}
	return missing, nil
}

// account returns the account that the server took us for, quoted for SQL.
func (c *Conn) account(ctx context.Context) (string, error) {
	const statement = "SELECT CURRENT_USER()"
	row, err := c.row(ctx, statement, 1)
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(row[0], '@')
	if at < 0 || !isWord(row[0]) {
		return "", c.strange(statement, "%q", brief(row[0]))
	}
	quote := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	return quote(row[0][:at]) + "@" + quote(row[0][at+1:]), nil
}
