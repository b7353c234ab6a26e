package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
)

// TestWalk walks over states of the disk. Each is made by a builder and perhaps
// damaged; the end is told as timeline, file, offset and how many segments' GTIDs
// it has.
func TestWalk(t *testing.T) {
	tests := []struct {
		name  string
		build func(b *builder)
		want  string // the end, or a part of the error
	}{
		{"no segment", func(*builder) {}, "1 mysql-bin.000001:0 gtids 0"},
		{"one file", func(b *builder) { b.data(100, 200) }, "1 mysql-bin.000001:300 gtids 2"},
		{"rotated", func(b *builder) { b.data(100); b.rotate(10, file(2)) }, "1 mysql-bin.000002:0 gtids 2"},
		{"crashed", func(b *builder) { b.data(100); b.crash(file(2)) }, "1 mysql-bin.000002:0 gtids 1"},
		{"next file begun", func(b *builder) { b.data(100); b.crash(file(2)); b.data(5) }, "1 mysql-bin.000002:5 gtids 2"},
		{"number with one digit more", func(b *builder) {
			b.rotate(10, file(999999))
			b.rotate(10, file(1000000))
			b.data(7)
		}, "1 mysql-bin.1000000:7 gtids 3"},
		{"base name changed", func(b *builder) { b.rotate(10, "binlog.000001"); b.data(7) }, "1 binlog.000001:7 gtids 2"},
		{"beyond 4 GiB", func(b *builder) {
			seg := b.segment(b.end, 9)
			seg.Meta.End = 5 << 30
			end, err := b.Append(b.t.Context(), b.end, seg)
			if err != nil {
				b.t.Fatal(err)
			}
			b.end = end
			b.data(7)
		}, "1 mysql-bin.000001:5368709127 gtids 1"},
		{"closed", func(b *builder) { b.data(100); b.close() }, "1 mysql-bin.000001:100 gtids 1 closed"},
		{"closed without segments", func(b *builder) { b.close() }, "1 mysql-bin.000001:0 gtids 0 closed"},
		{"closed after a file's end", func(b *builder) { b.rotate(10, file(2)); b.close() }, "1 mysql-bin.000002:0 gtids 1 closed"},
		{"second timeline, empty", func(b *builder) { b.data(100); b.close(); b.timeline(file(7)) }, "2 mysql-bin.000007:0 gtids 0"},
		{"second timeline", func(b *builder) { b.data(100); b.close(); b.timeline(file(1)); b.data(3) }, "2 mysql-bin.000001:3 gtids 2"},
		{"folder of a timeline that was not begun", func(b *builder) {
			b.data(100)
			b.write(b.dir+"/orders/00000002/.tmp-x", nil)
		}, "1 mysql-bin.000001:100 gtids 1"},
		{"hole in a file", func(b *builder) {
			b.data(100, 200, 300)
			b.remove(b.path(1, file(1), 100))
		}, "1 mysql-bin.000001:100 gtids 1"},
		{"hole at a file's start", func(b *builder) {
			b.rotate(100, file(2))
			b.data(1, 2)
			b.remove(b.path(1, file(2), 0))
		}, "1 mysql-bin.000002:0 gtids 1"},
		{"file lost", func(b *builder) {
			b.rotate(100, file(2))
			b.rotate(100, file(3))
			b.data(100)
			b.remove(b.dir + "/orders/00000001/" + file(2))
		}, "1 mysql-bin.000002:0 gtids 1"},
		{"file's end lost", func(b *builder) {
			b.data(100)
			b.crash(file(2))
			b.data(100)
			b.remove(b.path(1, file(1), 100))
		}, "1 mysql-bin.000001:100 gtids 1"},
		{"zombie's put behind a hole", func(b *builder) {
			b.data(100, 200)
			b.write(b.path(1, file(1), 350), b.read(b.path(1, file(1), 100)))
		}, "1 mysql-bin.000001:300 gtids 2"},
		{"stray within the chain", func(b *builder) {
			b.data(100, 200)
			b.write(b.path(1, file(1), 150), []byte("garbage"))
		}, "1 mysql-bin.000001:300 gtids 2"},
		{"other objects", func(b *builder) {
			b.data(100)
			b.write(b.dir+"/orders/00000001/"+file(1)+"/README", nil)
			b.write(b.dir+"/orders/lost+found/x", nil)
		}, "1 mysql-bin.000001:100 gtids 1"},
		{"wrong chain hash", func(b *builder) {
			b.data(100, 200)
			b.edit(b.path(1, file(1), 100), `"chain_hash":"`+b.end.Last.ChainHash, `"chain_hash":"0123456789abcdef`)
		}, "00000000000000000100.zst: has a chain hash that does not fit"},
		{"wrong start", func(b *builder) {
			b.data(100, 200)
			b.rename(b.path(1, file(1), 0), b.path(1, file(1), 300))
			b.rename(b.path(1, file(1), 100), b.path(1, file(1), 0))
		}, "00000000000000000000.zst: starts at 100"},
		{"wrong task", func(b *builder) {
			b.data(100)
			b.edit(b.path(1, file(1), 0), `"orders"`, `"others"`)
		}, `is of task "others"`},
		{"wrong timeline", func(b *builder) {
			b.data(100)
			b.edit(b.path(1, file(1), 0), `"timeline":1`, `"timeline":2`)
		}, "timeline 2"},
		{"wrong file", func(b *builder) {
			b.data(100)
			b.edit(b.path(1, file(1), 0), `"file":"mysql-bin.000001"`, `"file":"mysql-bin.000002"`)
		}, "file mysql-bin.000002"},
		{"damaged metadata", func(b *builder) {
			b.data(100)
			b.damage(b.path(1, file(1), 0), `"events":3`, `"events":2`)
		}, "other metadata than its meta_hash says"},
		{"wrong GTID set", func(b *builder) {
			b.data(100)
			b.edit(b.path(1, file(1), 0), `"gtid_set":"0a0b`, `"gtid_set":"0x0b`)
		}, "gtid_set"},
		{"no end of a file that goes on", func(b *builder) {
			b.rotate(100, file(2))
			b.edit(b.path(1, file(1), 0), `"next_file":"mysql-bin.000002"`, `"next_file":"mysql-bin.000001"`)
		}, "invalid next file"},
		{"ring of files", func(b *builder) {
			b.rotate(100, file(2))
			b.rotate(100, file(3))
			b.edit(b.path(1, file(2), 0), `"next_file":"mysql-bin.000003"`, `"next_file":"mysql-bin.000001"`)
		}, "comes before it"},
		{"empty object", func(b *builder) {
			b.data(100)
			b.write(b.path(1, file(1), 100), nil)
		}, "00000000000000000100.zst: does not begin with a segment's metadata"},
		{"newer segment", func(b *builder) {
			b.data(100)
			b.edit(b.path(1, file(1), 0), `"format":1`, `"format":2`)
		}, "has format 2"},
		{"newer timeline", func(b *builder) {
			b.edit(b.dir+"/orders/00000001/timeline.json", `"format":1`, `"format":2`)
		}, "has format 2"},
		{"timeline of another task", func(b *builder) {
			b.edit(b.dir+"/orders/00000001/timeline.json", `"orders"`, `"others"`)
		}, `is of task "others"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			test.build(b)
			end, err := b.Walk(t.Context(), nil)
			got := describe(end)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) || err == nil && got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// describe tells an end as a test does.
func describe(end archive.End) string {
	gtids := int64(0)
	if end.GTIDSet != nil && !end.GTIDSet.IsEmpty() {
		text := end.GTIDSet.String()
		if n, _ := fmt.Sscanf(text, uuid+":1-%d", &gtids); n == 0 {
			fmt.Sscanf(text, uuid+":%d", &gtids)
		}
	}
	s := fmt.Sprintf("%d %s:%d gtids %d", end.Timeline, end.File, end.Offset, gtids)
	if end.Closed {
		s += " closed"
	}
	return s
}

// TestSync checks that a walk's end is durable only after all that it relied on is,
// although its writers came to an end of themselves before it was.
func TestSync(t *testing.T) {
	b := newBuilder(t)
	segment := b.SegmentName(1, file(1), 0)
	tests := []struct {
		name  string
		build func()
		want  []string
	}{
		{"no segment", func() {}, []string{"orders/task.json", "orders/00000001/timeline.json"}},
		{"a file ends", func() { b.rotate(100, file(2)) }, []string{"orders/task.json", "orders/00000001/timeline.json", segment}},
		{"taken over", func() {
			if _, err := b.Adopt(t.Context(), archive.Owner{TaskUID: "another"}); err != nil {
				t.Fatal(err)
			}
		}, []string{"orders/owners/00000002.json", "orders/00000001/timeline.json", segment}},
	}
	for _, test := range tests {
		test.build()
		store := &syncingStore{Store: b.store}
		a := archive.New(store, task)
		if err := a.Sync(t.Context(), b.walk(nil)); err != nil || !slices.Equal(store.synced, test.want) {
			t.Errorf("%s: synced %q, %v, want %q", test.name, store.synced, err, test.want)
		}
	}
	store := &syncingStore{Store: b.store}
	if err := archive.New(store, task).Sync(t.Context(), archive.End{}); err != nil || !slices.Equal(store.synced, tests[2].want[:1]) {
		t.Errorf("no timeline: synced %q, %v", store.synced, err)
	}
	faulty := storetest.NewFaulty(t, b.store)
	faulty.FailSync(1, nil)
	if err := archive.New(faulty, task).Sync(t.Context(), b.end); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("got %v, want the store's error", err)
	}
	b.remove(b.path(1, file(1), 0))
	conflict := (*archive.ConflictError)(nil)
	if err := b.Sync(t.Context(), b.end); !errors.As(err, &conflict) || !strings.Contains(err.Error(), segment) {
		t.Errorf("the last segment has gone: got %v, want a *ConflictError that names it", err)
	}
}

// A syncingStore keeps the names that it is to make durable.
type syncingStore struct {
	archive.Store
	synced []string
}

func (s *syncingStore) Sync(ctx context.Context, names ...string) error {
	s.synced = append(s.synced, names...)
	return s.Store.Sync(ctx, names...)
}

func TestWalkEmptyArchive(t *testing.T) {
	b := newBuilder(t)
	b.remove(b.dir + "/orders")
	for _, hint := range []*archive.Hint{nil, {}} {
		if _, err := b.Walk(t.Context(), hint); !errors.Is(err, archive.ErrNoTimeline) {
			t.Errorf("got %v, want ErrNoTimeline", err)
		}
	}
	if _, err := b.Owner(t.Context()); !errors.Is(err, archive.ErrNotExist) {
		t.Errorf("owner: got %v, want ErrNotExist", err)
	}
}

// A writingStore lets a writer work just after a reader has missed an object for
// the first time.
type writingStore struct {
	archive.Store
	once  sync.Once
	write func()
}

func (s *writingStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, name, offset, length)
	if errors.Is(err, archive.ErrNotExist) {
		s.once.Do(s.write)
	}
	return r, err
}

// TestWalkWhileWriting lets a writer append two segments just after the walk
// looked for the first of them: what stands behind is no proof of a hole.
func TestWalkWhileWriting(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	store := &writingStore{Store: b.store, write: func() { b.data(200, 300) }}
	end, err := archive.New(store, task).Walk(t.Context(), nil)
	if err != nil || end.Offset != 600 {
		t.Errorf("got %s, %v, want what was appended meanwhile", describe(end), err)
	}
}

// TestWalkStoreFaults fails every call of a walk in turn: the error must be the
// store's, never an end.
func TestWalkStoreFaults(t *testing.T) {
	b := sample(t)
	tests := []struct {
		name   string
		calls  int
		inject func(f *storetest.Faulty, n int)
	}{
		{"Open", 5, func(f *storetest.Faulty, n int) { f.FailOpen(n, nil) }},
		{"Read", 3, func(f *storetest.Faulty, n int) { f.FailRead(n, nil) }},
		{"List", 3, func(f *storetest.Faulty, n int) { f.FailList(n, nil) }},
	}
	for _, test := range tests {
		for n := 1; n <= test.calls; n++ {
			faulty := storetest.NewFaulty(t, b.store)
			test.inject(faulty, n)
			_, err := archive.New(faulty, task).Walk(t.Context(), b.end.Hint())
			if store := (*archive.StoreError)(nil); !errors.As(err, &store) {
				t.Errorf("%s %d failed: got %v, want a *StoreError", test.name, n, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Walk(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
}
