//go:build faults

//faults:zookeeper

package worker_test

import (
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/faults"
	"binkeeper/internal/faults/faultstest"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// A store that does not take a segment stops the reading of the source within a few segments; nothing is committed
// meanwhile.
func TestHungStoreStopsTheReading(t *testing.T) {
	const row, rows, most = 1 << 20, 40, 12 << 20 // segments of 1 MiB: four buffers, what is compressed, and what the sockets hold
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	hung := hangingStore{armed: new(atomic.Bool), struck: make(chan struct{}), release: make(chan struct{})}
	scraper := &scraper{t: t}
	open := func(url string) (archive.Store, error) {
		store, err := stores.Open(url)
		hung.Store = store
		return hung, err
	}
	f.startWith("1", open, func(w *worker.Worker) { scraper.server = httptest.NewServer(w.Handler()) })
	t.Cleanup(scraper.server.Close)
	release := sync.OnceFunc(func() { close(hung.release) })
	t.Cleanup(release)
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	hung.armed.Store(true)
	f.write(1)
	<-hung.struck
	const received = `binkeeper_received_bytes_total{task="orders"}`
	before, committed := scraper.value(scraper.get("/metrics"), received), f.look("orders").LastCommit
	for n := range rows {
		if err := f.src.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS shop.large (note LONGBLOB)",
			fmt.Sprintf("INSERT INTO shop.large VALUES (REPEAT('%d', %d))", n%10, row)); err != nil {
			t.Fatal(err)
		}
	}
	read := before
	for now := read + 1; now != read; { // until nothing more is read
		<-time.After(500 * time.Millisecond)
		read, now = scraper.value(scraper.get("/metrics"), received), read
	}
	if grown := read - before; grown > most {
		t.Errorf("%.0f bytes were read with a store that takes none, want %d at most of %d", grown, most, rows*row)
	}
	if now := f.look("orders").LastCommit; now.Commit != committed.Commit || now.Position != committed.Position {
		t.Errorf("lastCommit went from %+v to %+v", committed, now)
	}
	release()
	f.compare("orders")
}

// A primary that cannot reach its source says so, and leaves the task to the next one, which says it too: ZooKeeper being
// well, nobody is silent.
func TestYieldsWhenItsSourceIsAway(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	proxy := faultstest.NewProxy(t, f.src.Addr(), faults.MySQL)
	f.createTask("orders")
	f.change("orders", func(s *zkpaths.Spec) { s.Source = "mysql://" + servers.User + "@" + proxy.Addr() })
	f.startWith("1", stores.Open, hurry)
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	f.startWith("2", stores.Open, hurry)
	f.await("orders", "a standby", soon, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	f.write(10)
	proxy.Cut()
	f.await("orders", "the second, that says why it cannot begin", 20*time.Second, func(v coord.TaskView) bool {
		return v.LastCommit.ServerID == "2" && v.Status.ServerID == "2" && v.Status.Reason == "source-away" && v.Status.Detail != ""
	})
	f.write(10)
	proxy.Heal()
	f.await("orders", "running", 30*time.Second, running)
	f.compare("orders")
}
