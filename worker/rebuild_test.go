package worker

import (
	"errors"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/archive/storetest"
	"binkeeper/internal/gtid"
)

// A checkpoint that is rebuilt from the archive says no more than what is durable there.
func TestRebuildWaitsForDurability(t *testing.T) {
	folder, err := dirstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	arch := archive.New(folder, "orders")
	if _, err := arch.CreateOwner(t.Context(), archive.Owner{TaskUID: "uid"}); err != nil {
		t.Fatal(err)
	}
	if err := arch.CreateTimeline(t.Context(), archive.Timeline{Timeline: 1, Flavor: gtid.MySQL, FirstFile: "mysql-bin.000001"}); err != nil {
		t.Fatal(err)
	}
	faulty := storetest.NewFaulty(t, folder)
	faulty.FailSync(1, nil)
	w := newMeteredWorker(t, "orders")
	w.cfg.OpenStore = func(string) (archive.Store, error) { return faulty, nil }
	m := &member{w: w, task: "orders", tally: w.meters.of("orders")}
	if got, err := m.rebuild(t.Context(), ""); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("got %+v, %v, want the error of the sync", got, err)
	}
	if got, err := m.rebuild(t.Context(), ""); err != nil || got.Timeline != 1 {
		t.Errorf("got %+v, %v, want the archive's end", got, err)
	}
}
