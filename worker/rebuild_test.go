package worker

import (
	"errors"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
)

// A checkpoint that is rebuilt from the archive says no more than what is durable there.
func TestRebuildWaitsForDurability(t *testing.T) {
	folder, _ := newArchive(t)
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
