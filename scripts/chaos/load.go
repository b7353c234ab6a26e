package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/servers"
)

const (
	// clients write to each source at the same time, each at most one transaction in clientPause: the machine has other
	// work too.
	clients     = 4
	clientPause = 15 * time.Millisecond
	// rowsEach bounds the table, so that an hour of writing does not fill the disk twice.
	rowsEach = 2000
	// After so many transactions of a client one is larger than several segments, or changes the schema.
	everyLarge  = 400
	everySchema = 250
	// away is how long a client waits for a source that does not answer.
	away = 100 * time.Millisecond
)

// A load is clients that write to a source until they are stopped, whatever becomes of it meanwhile.
type load struct {
	written atomic.Int64 // transactions that the source has said to be committed
	failed  atomic.Int64 // that ended with an error
	cancel  context.CancelFunc
	clients errgroup.Group
	quiet   sync.RWMutex // held for reading by each transaction
}

// startLoad makes the table and starts the clients.
func startLoad(ctx context.Context, src *servers.Source) (*load, error) {
	err := src.Exec(ctx, "CREATE DATABASE IF NOT EXISTS shop",
		"CREATE TABLE IF NOT EXISTS shop.orders (id BIGINT PRIMARY KEY, client INT NOT NULL, note LONGBLOB NOT NULL)")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel}
	for client := range clients {
		l.clients.Go(func() error {
			l.write(ctx, src.DB(), client)
			return nil
		})
	}
	return l, nil
}

// stop ends the clients, and waits for that. It may be called again.
func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

func (l *load) write(ctx context.Context, db *sql.DB, client int) {
	for n := 0; ctx.Err() == nil; {
		conn, err := db.Conn(ctx)
		if err != nil {
			pause(ctx, away)
			continue
		}
		for err == nil && ctx.Err() == nil {
			n++
			if err = l.transact(ctx, conn, client, n); err == nil {
				l.written.Add(1)
				pause(ctx, clientPause)
			}
		}
		if ctx.Err() == nil {
			l.failed.Add(1)
		}
		conn.Close()
	}
}

// transact is one transaction: some rows, a few megabytes, or a change of the schema. One that has begun is ended even
// when the load is stopped.
func (l *load) transact(ctx context.Context, conn *sql.Conn, client, n int) error {
	l.quiet.RLock()
	defer l.quiet.RUnlock()
	ctx = context.WithoutCancel(ctx)
	switch {
	case n%everySchema == 0:
		return changeSchema(ctx, conn, client)
	case n%everyLarge == 0:
		return writeRows(ctx, conn, client, 4, 600<<10)
	}
	return writeRows(ctx, conn, client, 1+rand.IntN(3), 1500)
}

func writeRows(ctx context.Context, conn *sql.Conn, client, rows, most int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for range rows {
		id := client*rowsEach + rand.IntN(rowsEach)
		if _, err := tx.ExecContext(ctx, "REPLACE INTO shop.orders (id, client, note) VALUES (?, ?, ?)", id, client, note(1+rand.IntN(most))); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func changeSchema(ctx context.Context, conn *sql.Conn, client int) error {
	table := fmt.Sprintf("shop.basket_%d", client)
	for _, statement := range []string{
		"DROP TABLE IF EXISTS " + table,
		"CREATE TABLE " + table + " (id INT PRIMARY KEY)",
		"ALTER TABLE " + table + " ADD COLUMN note TEXT",
		"INSERT INTO " + table + " VALUES (1, 'new')",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// note is text that compresses as text does, to a third or so.
func note(size int) string {
	const words = "one line of an order; "
	text := make([]byte, size)
	for i := range text {
		text[i] = words[i%len(words)]
		if i%4 == 0 {
			text[i] = byte('a' + rand.IntN(26))
		}
	}
	return string(text)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
