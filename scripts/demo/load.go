package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/servers"
)

// clients is how many write at the same time.
const clients = 4

// load is clients that write transactions to the source until they are stopped.
type load struct {
	written atomic.Int64
	stop    func() // closes a channel, once
	clients errgroup.Group
}

// startLoad makes a table and starts the clients. They end at the first error; Stop returns it.
func startLoad(ctx context.Context, source *servers.Source) (*load, error) {
	err := source.Exec(ctx,
		"CREATE DATABASE shop",
		"CREATE TABLE shop.orders (client INT, number INT, line INT, note LONGBLOB NOT NULL, paid BOOL NOT NULL DEFAULT FALSE, PRIMARY KEY (client, number, line))")
	if err != nil {
		return nil, err
	}
	stopped := make(chan struct{})
	l := &load{stop: sync.OnceFunc(func() { close(stopped) })}
	for client := range clients {
		l.clients.Go(func() error { return l.write(ctx, source.DB(), client, stopped) })
	}
	return l, nil
}

// Stop lets every client end its transaction, and waits for that. It may be called again.
func (l *load) Stop() error {
	l.stop()
	return l.clients.Wait()
}

// Transactions is how many were committed so far.
func (l *load) Transactions() int64 { return l.written.Load() }

func (l *load) write(ctx context.Context, db *sql.DB, client int, stopped <-chan struct{}) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for n := 0; ; n++ {
		select {
		case <-stopped:
			return nil
		default:
		}
		if err := order(ctx, conn, client, n); err != nil {
			return fmt.Errorf("client %d: %w", client, err)
		}
		l.written.Add(1)
	}
}

// order is one transaction: an order of some lines, and the payment of the one before. Now and then one is large.
func order(ctx context.Context, conn *sql.Conn, client, n int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for line := range 1 + rand.IntN(4) {
		size := 100 + rand.IntN(2000)
		if n%500 == 499 {
			size = 1 << 20
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO shop.orders (client, number, line, note) VALUES (?, ?, ?, ?)", client, n, line, note(size)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE shop.orders SET paid = TRUE WHERE client = ? AND number = ?", client, n-1); err != nil {
		return err
	}
	return tx.Commit()
}

// note is text of some bytes that compresses as text does.
func note(size int) string {
	var text strings.Builder
	for text.Len() < size {
		fmt.Fprintf(&text, "item %d, price %d.99; ", rand.IntN(1000), rand.IntN(100))
	}
	return text.String()[:size]
}
