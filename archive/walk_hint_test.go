package archive_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"binkeeper/archive"
)

// TestWalkHint walks from every end of an archive's history as its checkpoint, and
// must come to the same end as without one.
func TestWalkHint(t *testing.T) {
	b := sample(t)
	want := b.walk(nil)
	if got := describe(want); got != "2 mysql-bin.000002:170 gtids 10" {
		t.Fatalf("without a hint: got %s", got)
	}
	for _, end := range b.ends {
		got := b.walk(end.Hint())
		if describe(got) != describe(want) || got.Last.ChainHash != want.Last.ChainHash || !got.GTIDSet.Equal(want.GTIDSet) {
			t.Errorf("from %s: got %s, want %s", end, describe(got), describe(want))
		}
		omitted := end.Hint()
		omitted.GTIDSet, omitted.GTIDSetOmitted = "", true
		if got := b.walk(omitted); !got.GTIDSet.Equal(want.GTIDSet) {
			t.Errorf("from %s without its GTID set: got %s, want %s", end, got.GTIDSet, want.GTIDSet)
		}
	}
}

// TestWalkHintIsUsed checks that a walk does not look at what is before its hint.
func TestWalkHintIsUsed(t *testing.T) {
	b := newBuilder(t)
	b.data(100, 200)
	hint := b.end.Hint()
	b.rotate(300, file(2))
	b.data(5)
	b.remove(b.path(1, file(1), 0))
	if got, want := describe(b.walk(hint)), describe(b.end); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	hint.GTIDSet = uuid + ":1-50"
	b.edit(b.path(1, file(2), 0), `,"previous_gtid_set":`, `,"previous_gtid_zzz":`)
	if got, want := b.walk(hint).GTIDSet.String(), uuid+":1-50"; got != want {
		t.Errorf("got %s, want the hint's set %s with what came after", got, want)
	}
}

// TestWalkHintWithoutGTIDSet checks that a walk whose hint has no GTID set, since it is too long, reads the hinted file
// and nothing before it, and has the set whole.
func TestWalkHintWithoutGTIDSet(t *testing.T) {
	b := newBuilder(t)
	for n := range 50 {
		b.data(10, 20, 30)
		b.rotate(40, file(n+2))
	}
	b.data(10, 20)
	hint := b.end.Hint()
	b.data(30)
	hint.GTIDSet, hint.GTIDSetOmitted = "", true
	store := &openingStore{Store: b.store}
	end, err := archive.New(store, task).Walk(t.Context(), hint)
	if err != nil || describe(end) != describe(b.end) || !end.GTIDSet.Equal(b.end.GTIDSet) {
		t.Errorf("got %s, %v, want %s", describe(end), err, describe(b.end))
	}
	// The timeline, the file's three segments, the one that is not there yet, and the timeline that may follow.
	if store.opens != 6 {
		t.Errorf("the walk has read %d objects, want 6", store.opens)
	}

	// Where the set is not in the file's first segment, it is put together from the beginning.
	b.edit(b.path(1, file(51), 0), `,"previous_gtid_set":`, `,"previous_gtid_zzz":`)
	if end, err = b.Walk(t.Context(), hint); err != nil || !end.GTIDSet.Equal(b.end.GTIDSet) {
		t.Errorf("without previous GTIDs in the file: got %s, %v, want %s", end.GTIDSet, err, b.end.GTIDSet)
	}
	b.remove(b.path(1, file(51), 0))
	_, err = b.Walk(t.Context(), hint)
	if behind := (*archive.BehindError)(nil); !errors.As(err, &behind) {
		t.Errorf("the file's first segment is lost: got %v, want a *BehindError", err)
	}
}

// An openingStore counts the objects that are read.
type openingStore struct {
	archive.Store
	opens int
}

func (s *openingStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	s.opens++
	return s.Store.Open(ctx, name, offset, length)
}

func TestWalkBehind(t *testing.T) {
	tests := []struct {
		name   string
		damage func(b *builder)
		hint   func(h *archive.Hint)
		behind bool
	}{
		{"as it is", func(*builder) {}, func(*archive.Hint) {}, false},
		{"last segment lost", func(b *builder) { b.remove(b.path(1, file(2), 10)) }, func(*archive.Hint) {}, true},
		{"last file lost", func(b *builder) { b.remove(b.dir + "/orders/00000001/" + file(2)) }, func(*archive.Hint) {}, true},
		{"hole before, hinted segment there", func(b *builder) { b.remove(b.path(1, file(1), 0)) }, func(*archive.Hint) {}, false},
		{"all segments lost", func(b *builder) {
			b.remove(b.dir + "/orders/00000001/" + file(1))
			b.remove(b.dir + "/orders/00000001/" + file(2))
		}, func(*archive.Hint) {}, true},
		{"everything lost", func(b *builder) { b.remove(b.dir + "/orders") }, func(*archive.Hint) {}, true},
		{"later timeline", func(*builder) {}, func(h *archive.Hint) { h.Timeline++ }, true},
		{"later position", func(*builder) {}, func(h *archive.Hint) { h.Position++ }, true},
		{"later file", func(*builder) {}, func(h *archive.Hint) { h.File = file(3) }, true},
		{"other base name", func(*builder) {}, func(h *archive.Hint) { h.File = "binlog.000001" }, true},
		{"earlier position, no segment's end", func(*builder) {}, func(h *archive.Hint) { h.Position-- }, false},
		{"earlier file, later position", func(*builder) {}, func(h *archive.Hint) { h.File, h.Position = file(1), 5000 }, false},
		{"no segment", func(*builder) {}, func(h *archive.Hint) { h.SegmentStart, h.Position = 0, 0 }, false},
		{"before the first claim", func(*builder) {}, func(h *archive.Hint) { *h = archive.Hint{} }, false},
		{"unknown segment", func(*builder) {}, func(h *archive.Hint) { h.SegmentStart = -1 }, false},
		{"unreadable set", func(*builder) {}, func(h *archive.Hint) { h.GTIDSet = "x" }, false},
		{"unreadable file", func(*builder) {}, func(h *archive.Hint) { h.File = "../x" }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			b.rotate(100, file(2))
			b.data(10, 20)
			hint := b.end.Hint()
			test.damage(b)
			test.hint(hint)
			end, err := b.Walk(t.Context(), hint)
			behind := (*archive.BehindError)(nil)
			if got := errors.As(err, &behind); got != test.behind || !got && err != nil {
				t.Fatalf("got %v, want a *BehindError: %t", err, test.behind)
			}
			if err == nil && describe(end) != describe(b.end) {
				t.Errorf("got %s, want %s", describe(end), describe(b.end))
			}
			if err != nil && (behind.Hint() == "" || !strings.Contains(err.Error(), "before the checkpoint")) {
				t.Errorf("got %v, hint %q", err, behind.Hint())
			}
		})
	}
}
