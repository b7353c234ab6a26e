//go:build faults

//faults:archive

package worker_test

import (
	"syscall"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// startOnBadStore starts two workers on one store that can go bad.
func (f *fleet) startOnBadStore(options ...func(*worker.Worker)) *storetest.Outage {
	f.t.Helper()
	good, err := stores.Open("file://" + f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	bad := storetest.NewOutage(f.t, good)
	open := func(string) (archive.Store, error) { return bad, nil }
	f.startWith("1", open, options...)
	f.await("orders", "a primary", 20*time.Second, running)
	f.startWith("2", open, options...)
	f.await("orders", "a standby", 20*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	return bad
}

// badStores are how a store goes bad as a whole, and for how long.
func badStores(away time.Duration) []badStore {
	return []badStore{
		{"read-only", func(o *storetest.Outage) { o.ReadOnly(syscall.EROFS) }, "read-only file system", 3 * time.Second},
		{"no sync of files", func(o *storetest.Outage) { o.FailSync(storetest.Before, syscall.EIO) }, "input/output error", 3 * time.Second},
		{"no sync of folders", func(o *storetest.Outage) { o.FailSync(storetest.After, syscall.EIO) }, "input/output error", 3 * time.Second},
		{"away", func(o *storetest.Outage) { o.Away(syscall.ESTALE) }, "stale", away},
	}
}

type badStore struct {
	name   string
	strike func(*storetest.Outage)
	says   string
	lasts  time.Duration
}

// A store that is read-only, fails to sync or is away, for all workers, costs nothing but time.
func TestStoreGoesBad(t *testing.T) {
	t.Parallel()
	testBadStores(t, 20*time.Second)
}

func testBadStores(t *testing.T, away time.Duration) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	bad := f.startOnBadStore(hurry) // who yields after a second, and then after two, four …
	for _, test := range badStores(away) {
		stop := f.startLoad()
		test.strike(bad)
		v := f.await("orders", "word that the store is bad: "+test.name, 20*time.Second, func(v coord.TaskView) bool {
			return v.Status.State == zkpaths.StateStarting && v.Status.Reason == "store-away"
		})
		if !contains(v.Status.Detail, test.says) {
			t.Errorf("%s: the status says %q, want %q in it", test.name, v.Status.Detail, test.says)
		}
		<-time.After(test.lasts)
		bad.Heal()
		f.await("orders", "archiving after the store was "+test.name, time.Minute, running)
		stop()
		f.compare("orders")
	}
}

// Folders that cannot be synced: segments stand in the archive that a crash would take away. As long as that lasts, no walk
// makes a checkpoint of what it finds, whoever walks.
func TestCheckpointWaitsForDurability(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	bad := f.startOnBadStore(hurry)
	f.write(10)
	f.compare("orders")
	bad.FailSync(storetest.After, syscall.EIO)
	f.write(10)
	before := f.await("orders", "word that the store is bad", 20*time.Second, func(v coord.TaskView) bool {
		return v.Status.State == zkpaths.StateStarting && v.Status.Reason == "store-away"
	})
	met := bad.Met()
	f.write(10)
	now := f.await("orders", "more attempts, by both workers", 30*time.Second, func(v coord.TaskView) bool {
		return bad.Met() >= met+5 && v.Status.ServerID != before.Status.ServerID
	})
	if got, want := now.LastCommit, before.LastCommit; got.File != want.File || got.Position != want.Position {
		t.Errorf("the checkpoint went from %s:%d to %s:%d, of which nothing is durable", want.File, want.Position, got.File, got.Position)
	}
	bad.Heal()
	f.await("orders", "archiving after the store was mended", time.Minute, running)
	f.compare("orders")
}

// A store whose every call hangs, and then goes through after all, as a hard mount of a server that was away: who is
// primary gives the term up, and so does the one after.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	bad := f.startOnBadStore(hurry) // whose watchdog waits for two seconds
	stop := f.startLoad()
	before := f.await("orders", "an archive", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position > 0 })
	bad.Hang()
	f.await("orders", "a primary after two that gave up", time.Minute, func(v coord.TaskView) bool {
		return v.LastCommit.Term >= before.LastCommit.Term+2
	})
	if n := f.journal.count("no byte moves"); n < 2 {
		t.Errorf("the watchdog has given %d terms up, want two at least", n)
	}
	bad.Heal()
	f.await("orders", "archiving after the store hung", time.Minute, running)
	stop()
	f.compare("orders")
}

// Each call of the store takes two seconds: the archive lags, and nobody gives up, nor does the primary change.
func TestStoreIsSlow(t *testing.T) {
	t.Parallel()
	testSlowStore(t, 12*time.Second)
}

func testSlowStore(t *testing.T, lasts time.Duration) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	bad := f.startOnBadStore(func(w *worker.Worker) { w.Hurry(4*time.Second, 6*time.Second, 200*time.Millisecond) })
	stop := f.startLoad()
	before := f.await("orders", "an archive", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position > 0 })
	bad.Slow(2 * time.Second)
	<-time.After(lasts)
	now := f.await("orders", "more of the archive", time.Minute, func(v coord.TaskView) bool {
		return v.LastCommit.Position > before.LastCommit.Position || v.LastCommit.File != before.LastCommit.File
	})
	if now.Status.Term != before.Status.Term || now.Status.Changes != before.Status.Changes {
		t.Errorf("a slow store changed the state %d times, in term %d after %d", now.Status.Changes-before.Status.Changes, now.Status.Term, before.Status.Term)
	}
	stop()
	bad.Heal()
	f.compare("orders")
}
