package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/gtid"
	"binkeeper/zkpaths"
)

// newArchive makes the archive of the task orders in a new folder, with two segments,
// and returns its end.
func newArchive(t *testing.T) (archive.Store, archive.End) {
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
	return store, end
}

// A lateStore shows an object, or what is in a folder, some time after it was made only:
// as NFS does whose client has cached that it is not there.
type lateStore struct {
	archive.Store
	name  string
	shown time.Time
}

func (s lateStore) hides(name string) bool {
	return time.Now().Before(s.shown) && strings.HasPrefix(name+"/", s.name+"/")
}

func (s lateStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if s.hides(name) {
		return nil, fmt.Errorf("open %s: %w", name, archive.ErrNotExist)
	}
	return s.Store.Open(ctx, name, offset, length)
}

func (s lateStore) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		for e, err := range s.Store.List(ctx, dir, after) {
			if err == nil && s.hides(path.Join(dir, e.Name)) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// An archive that ends before the checkpoint is looked at again some seconds later, before that is believed.
func TestSecondLook(t *testing.T) {
	tests := []struct {
		name    string
		hidden  func(end archive.End) string
		late    time.Duration
		blocked bool
		takes   time.Duration
	}{
		{"nothing is hidden", func(archive.End) string { return "nothing" }, time.Hour, false, 0},
		{"the last segment is late", lastSegment, 3 * time.Second, false, secondLook},
		{"the last segment is lost", lastSegment, time.Hour, true, secondLook},
		{"the timeline is late", func(archive.End) string { return "orders/00000001" }, 3 * time.Second, false, secondLook},
		{"the timeline is lost", func(archive.End) string { return "orders/00000001" }, time.Hour, true, secondLook},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder, end := newArchive(t)
			synctest.Test(t, func(t *testing.T) {
				d, store := newDump(folder, test.hidden(end), test.late)
				began := time.Now()
				got, err := d.walk(t.Context(), archive.New(store, "orders"), CheckpointAt(end))
				block := (*BlockedError)(nil)
				if errors.As(err, &block) != test.blocked || test.blocked && block.Reason != zkpaths.BlockedArchiveBehind || !test.blocked && (err != nil || got.Offset != end.Offset) {
					t.Errorf("got %s, %v, want it to be blocked: %t", got, err, test.blocked)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("it took %s, want %s", took, test.takes)
				}
			})
		})
	}
	t.Run("the owner", func(t *testing.T) {
		folder, end := newArchive(t)
		synctest.Test(t, func(t *testing.T) {
			d, store := newDump(folder, "orders/task.json", 3*time.Second)
			d.cfg.Spec.TaskUID = "uid"
			if err := d.checkOwner(t.Context(), archive.New(store, "orders"), CheckpointAt(end)); err != nil {
				t.Errorf("it is late: got %v", err)
			}
			d, store = newDump(folder, "orders/task.json", time.Hour)
			err := d.checkOwner(t.Context(), archive.New(store, "orders"), CheckpointAt(end))
			if block := (*BlockedError)(nil); !errors.As(err, &block) || block.Reason != zkpaths.BlockedArchiveBehind {
				t.Errorf("it is lost: got %v, want it to be blocked", err)
			}
		})
	})
	t.Run("told to stop", func(t *testing.T) {
		folder, end := newArchive(t)
		synctest.Test(t, func(t *testing.T) {
			d, store := newDump(folder, lastSegment(end), time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := d.walk(ctx, archive.New(store, "orders"), CheckpointAt(end)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
		})
	})
}

// secondLook is how long the tests wait before a second look.
const secondLook = 5 * time.Second

func lastSegment(end archive.End) string {
	return archive.New(nil, "orders").SegmentName(end.Timeline, end.Last.File, end.Last.Start)
}

// newDump returns a dump that can look at an archive, and a store that shows a name late.
func newDump(folder archive.Store, hidden string, late time.Duration) (*Dump, archive.Store) {
	d := &Dump{cfg: Config{Task: "orders", Bounds: Bounds{SecondLook: secondLook}}}
	return d, lateStore{folder, hidden, time.Now().Add(late)}
}
