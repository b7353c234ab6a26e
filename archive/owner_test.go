package archive_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
)

func TestOwner(t *testing.T) {
	b := newBuilder(t)
	mine := archive.Owner{TaskUID: "other", CreatedAt: created}
	got, err := b.CreateOwner(t.Context(), mine)
	if want := (archive.Owner{Format: 1, Task: task, TaskUID: "uid", CreatedAt: created, Number: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want who was there: %+v", got, err, want)
	}
	b.write(b.dir+"/orders/task.json", []byte("{}"))
	if broken := (*archive.BrokenError)(nil); true {
		if _, err := b.Owner(t.Context()); !errors.As(err, &broken) {
			t.Errorf("got %v, want *BrokenError", err)
		}
	}
}

// adopt makes the archive uid's.
func (b *builder) adopt(uid string) archive.Owner {
	b.t.Helper()
	o, err := b.Adopt(b.t.Context(), archive.Owner{TaskUID: uid, CreatedAt: created})
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

// owner returns the task_uid of whose the archive is.
func (b *builder) owner() string {
	b.t.Helper()
	o, err := b.Owner(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return o.TaskUID
}

// TestAdopt takes an archive over, twice, and freezes what is written.
func TestAdopt(t *testing.T) {
	b := sample(t)
	first := b.read(b.dir + "/orders/task.json")
	for n, uid := range []string{2: "second", 3: "third"} {
		if uid == "" {
			continue
		}
		before := b.owner()
		want := archive.Owner{Format: 1, Task: task, TaskUID: uid, CreatedAt: created, Number: int64(n), TookOver: before}
		if got := b.adopt(uid); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got, err := b.Owner(t.Context()); err != nil || got != want {
			t.Errorf("owner: got %+v, %v, want %+v", got, err, want)
		}
		golden := fmt.Sprintf(`{"format":1,"task":"orders","task_uid":%q,"created_at":"2026-11-20T10:43:00Z","number":%d,"took_over":%q}`+"\n", uid, n, before)
		if got := string(b.read(fmt.Sprintf("%s/orders/owners/%08d.json", b.dir, n))); got != golden {
			t.Errorf("written: %s, want %s", got, golden)
		}
	}
	if got := b.read(b.dir + "/orders/task.json"); string(got) != string(first) {
		t.Errorf("task.json is %s, was %s", got, first)
	}
	if got, err := b.CreateOwner(t.Context(), archive.Owner{TaskUID: "late"}); err != nil || got.TaskUID != "third" {
		t.Errorf("created anew: got %+v, %v, want whose it is", got, err)
	}
	// What reads the archive takes owners/ for no timeline.
	if timelines, err := b.Timelines(t.Context()); err != nil || len(timelines) != 2 {
		t.Errorf("timelines: %+v, %v", timelines, err)
	}
	if report, err := b.Verify(t.Context(), nil); err != nil || !report.OK {
		t.Errorf("verify: %+v, %v", report, err)
	}
	if err := b.Export(t.Context(), t.TempDir(), archive.All, nil); err != nil {
		t.Errorf("export: %v", err)
	}
}

// TestAdoptNobodys has nothing to take over.
func TestAdoptNobodys(t *testing.T) {
	b := newBuilder(t)
	if _, err := archive.New(b.store, "other").Adopt(t.Context(), archive.Owner{TaskUID: "uid"}); !errors.Is(err, archive.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

// TestAdoptLostReply tries an adoption again of which it is not known whether it was
// done.
func TestAdoptLostReply(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		b := newBuilder(t)
		faulty := storetest.NewFaulty(t, b.store)
		faulty.FailCreate(1, when, nil)
		a := archive.New(faulty, task)
		mine := archive.Owner{TaskUID: "second", CreatedAt: created}
		if _, err := a.Adopt(t.Context(), mine); !errors.Is(err, storetest.ErrInjected) {
			t.Fatalf("got %v, want the store's error", err)
		}
		if o, err := a.Adopt(t.Context(), mine); err != nil || o.Number != 2 || b.owner() != "second" {
			t.Errorf("tried again: got %+v, %v", o, err)
		}
	}
}

// TestAdoptRace has tasks take an archive over at once: each has a number of its own,
// and the highest owns it.
func TestAdoptRace(t *testing.T) {
	const racers = 8
	b := newBuilder(t)
	owners := make([]archive.Owner, racers)
	var race sync.WaitGroup
	for i := range racers {
		race.Go(func() {
			var err error
			if owners[i], err = b.Adopt(t.Context(), archive.Owner{TaskUID: fmt.Sprint("racer ", i), CreatedAt: created}); err != nil {
				t.Error(err)
			}
		})
	}
	race.Wait()
	slices.SortFunc(owners, func(x, y archive.Owner) int { return int(x.Number - y.Number) })
	before := "uid"
	for i, o := range owners {
		if o.Number != int64(i+2) || o.TookOver != before {
			t.Errorf("adoption %d: %+v, want it to take over %q", i, o, before)
		}
		before = o.TaskUID
	}
	if got := b.owner(); got != before {
		t.Errorf("the archive is %q's, want %q's", got, before)
	}
}

// TestDisown takes adoptions back, in any order.
func TestDisown(t *testing.T) {
	b := newBuilder(t)
	second, third, fourth := b.adopt("second"), b.adopt("third"), b.adopt("fourth")
	for _, step := range []struct {
		back archive.Owner
		left string
	}{{third, "fourth"}, {fourth, "second"}, {second, "uid"}} {
		if err := b.Disown(t.Context(), step.back); err != nil {
			t.Fatal(err)
		}
		if got := b.owner(); got != step.left {
			t.Errorf("%s taken back: the archive is %q's, want %q's", step.back.TaskUID, got, step.left)
		}
	}
	first, err := b.Owner(t.Context())
	if err == nil {
		err = b.Disown(t.Context(), first)
	}
	if err == nil || b.owner() != "uid" {
		t.Errorf("the first owner was disowned: %v", err)
	}
}

// TestOwnerUnreadable has an owner in the way that cannot be read: whose the archive is,
// is not guessed from those before it.
func TestOwnerUnreadable(t *testing.T) {
	broken, newer := (*archive.BrokenError)(nil), (*archive.NewerFormatError)(nil)
	for _, tt := range []struct {
		text string
		want any
	}{
		{``, &broken}, {`{}`, &broken}, {`{"format":2}`, &newer},
		{`{"format":1,"task":"orders","number":3}`, &broken},
		{`{"format":1,"task":"orders","task_uid":"third","number":2}`, &broken},
		{`{"format":1,"task":"other","task_uid":"third","number":3}`, &broken},
	} {
		b := sample(t)
		b.adopt("second")
		object := filepath.Join("orders", "owners", "00000003.json")
		b.write(filepath.Join(b.dir, object), []byte(tt.text))
		if o, err := b.Owner(t.Context()); err == nil || !errors.As(err, tt.want) {
			t.Errorf("%s: got %+v, %v, want %T", tt.text, o, err, tt.want)
		}
		report, err := b.Verify(t.Context(), nil)
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Object != object {
			t.Errorf("%s: verify: %+v, %v; want a problem of %s", tt.text, report, err, object)
		}
	}
}

// TestOwnerForeignNames has in owners/ what is no owner.
func TestOwnerForeignNames(t *testing.T) {
	b := newBuilder(t)
	b.adopt("second")
	for _, name := range []string{"00000003", "3.json", "00000001.json", "-0000004.json", "notes.txt", "00000009.json/x", "00000005.json.bak"} {
		b.write(filepath.Join(b.dir, "orders", "owners", name), []byte("{"))
	}
	if got := b.owner(); got != "second" {
		t.Errorf("the archive is %q's", got)
	}
}

// TestSyncOfOwner makes the owner durable that the archive has now; one before it, lost by
// a hand, keeps no worker from going on.
func TestSyncOfOwner(t *testing.T) {
	b := sample(t)
	b.adopt("second")
	b.remove(b.dir + "/orders/task.json")
	if err := b.Sync(t.Context(), b.end); err != nil {
		t.Errorf("without task.json: %v", err)
	}
	b.adopt("third")
	b.remove(b.dir + "/orders/owners/00000002.json")
	if err := b.Sync(t.Context(), b.end); err != nil {
		t.Errorf("without the second owner: %v", err)
	}
	if report, err := b.Verify(t.Context(), nil); err != nil || report.OK {
		t.Errorf("verify: %+v, %v; want it to miss task.json", report, err)
	}
}
