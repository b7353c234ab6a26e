//go:build integration

package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/servers"
)

const (
	// clients write at the same time, each at most one transaction in clientPause: the machine has other work too.
	clients     = 3
	clientPause = 4 * time.Millisecond
	// everyLarge is after how many transactions of a client one is larger than several segments.
	everyLarge = 200
)

// A load is clients that write to the source until they are stopped or fail.
type load struct {
	t       *testing.T
	written atomic.Int64
	stopped chan struct{}
	halt    func() // closes stopped, once
	clients errgroup.Group
}

// startLoad starts the clients, on a table that it makes when it is missing.
func startLoad(t *testing.T, src *servers.Source) *load {
	t.Helper()
	err := src.Exec(t.Context(), "CREATE DATABASE IF NOT EXISTS shop",
		"CREATE TABLE IF NOT EXISTS shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, note LONGBLOB NOT NULL)")
	if err != nil {
		t.Fatal(err)
	}
	l := &load{t: t, stopped: make(chan struct{})}
	l.halt = sync.OnceFunc(func() { close(l.stopped) })
	for client := range clients {
		l.clients.Go(func() error { return l.write(src.DB(), client) })
	}
	t.Cleanup(func() {
		l.halt()
		_ = l.clients.Wait()
	})
	return l
}

// stop ends the clients, which have to have met with no error.
func (l *load) stop() {
	l.t.Helper()
	l.halt()
	if err := l.clients.Wait(); err != nil {
		l.t.Fatalf("load: %v", err)
	}
	if l.written.Load() == 0 {
		l.t.Fatal("the clients have written nothing")
	}
}

// broken waits until the clients have lost the source.
func (l *load) broken() {
	l.t.Helper()
	if err := l.clients.Wait(); err == nil {
		l.t.Fatal("no client has noticed that the source went away")
	}
}

// await waits until n more transactions are committed.
func (l *load) await(n int64) {
	l.t.Helper()
	deadline := time.Now().Add(patience)
	for goal := l.written.Load() + n; l.written.Load() < goal; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d transactions have not been written within %s", n, patience)
		}
	}
}

func (l *load) write(db *sql.DB, client int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	pace := time.NewTicker(clientPause)
	defer pace.Stop()
	for n := 1; ; n++ {
		select {
		case <-l.stopped:
			return nil
		case <-pace.C:
		}
		if err := transaction(ctx, conn, client, n%everyLarge == 0); err != nil {
			return fmt.Errorf("client %d: %w", client, err)
		}
		l.written.Add(1)
	}
}

// transaction inserts some rows: small ones, or a megabyte in rows of many sizes.
func transaction(ctx context.Context, conn *sql.Conn, client int, large bool) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, most := 1+rand.IntN(3), 1500
	if large {
		rows, most = 4, 600<<10
	}
	for range rows {
		if _, err := tx.ExecContext(ctx, "INSERT INTO shop.orders (client, note) VALUES (?, ?)", client, note(1+rand.IntN(most))); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// note is text that compresses as text does.
func note(size int) string {
	item := fmt.Sprintf("item %d, price %d.99; ", rand.IntN(1_000_000), rand.IntN(1000))
	return strings.Repeat(item, 1+size/len(item))[:size]
}

// backlog writes n transactions of a megabyte.
func backlog(t *testing.T, src *servers.Source, n int) {
	t.Helper()
	conn, err := src.DB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{"CREATE DATABASE shop", "CREATE TABLE shop.backlog (note LONGBLOB NOT NULL)"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if _, err := conn.ExecContext(t.Context(), "INSERT INTO shop.backlog VALUES (?)", note(1<<20)); err != nil {
			t.Fatal(err)
		}
	}
}
