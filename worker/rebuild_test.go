package worker

import (
	"bytes"
	"errors"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/archive/storetest"
	"binkeeper/internal/gtid"
)

// newArchive makes the archive of the task orders in a new folder, with two segments.
func newArchive(t *testing.T) archive.Store {
	t.Helper()
	store, err := dirstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	arch := archive.New(store, "orders")
	if _, err := arch.CreateOwner(t.Context(), archive.Owner{TaskUID: "uid"}); err != nil {
		t.Fatal(err)
	}
	if err := arch.CreateTimeline(t.Context(), archive.Timeline{Timeline: 1, Flavor: gtid.MySQL, FirstFile: "mysql-bin.000001"}); err != nil {
		t.Fatal(err)
	}
	end, err := arch.Walk(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		raw := bytes.Repeat([]byte{byte(n)}, 100)
		meta := archive.Meta{
			File: end.File, Start: end.Offset, End: end.Offset + int64(len(raw)), Events: 1, LastTransactionEnd: -1,
			BytesHash: archive.Hash(raw), OverlapStart: end.Offset, OverlapHash: archive.Hash(raw), Term: 1, ServerID: "1",
		}
		if end, err = arch.Append(t.Context(), end, archive.Segment{Meta: meta, Frames: archive.NewCompressor().Compress(nil, raw)}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// A checkpoint that is rebuilt from the archive says no more than what is durable there.
func TestRebuildWaitsForDurability(t *testing.T) {
	folder := newArchive(t)
	faulty := storetest.NewFaulty(t, folder)
	faulty.FailSync(1, nil)
	w := newMeteredWorker(t, "orders")
	w.cfg.OpenStore = func(string) (archive.Store, error) { return faulty, nil }
	m := &member{w: w, task: "orders", meter: w.meters.of("orders")}
	if got, err := m.rebuild(t.Context(), ""); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("got %+v, %v, want the error of the sync", got, err)
	}
	if got, err := m.rebuild(t.Context(), ""); err != nil || got.Timeline != 1 {
		t.Errorf("got %+v, %v, want the archive's end", got, err)
	}
}
