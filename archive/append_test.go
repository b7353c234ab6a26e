package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

func TestAppendAdvances(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	first := b.end
	b.data(200)
	if got, want := describe(first), "1 mysql-bin.000001:100 gtids 1"; got != want {
		t.Errorf("the end that was appended to became %s, want %s", got, want)
	}
	if got, want := b.walk(nil), b.end; !reflect.DeepEqual(got, want) {
		t.Errorf("Walk says %+v, Append said %+v", got, want)
	}
	if b.end.Last.ChainHash != archive.Hash([]byte(first.Last.ChainHash+b.end.Last.BytesHash)) {
		t.Errorf("chain hash %s is not over the one before and the bytes' own", b.end.Last.ChainHash)
	}
	if first.Last.ChainHash != archive.Hash([]byte(first.Last.BytesHash)) {
		t.Errorf("first chain hash %s is not over the bytes' own", first.Last.ChainHash)
	}
}

func TestAppendRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(m *archive.Meta)
		want   string
	}{
		{"another start", func(m *archive.Meta) { m.Start++ }, "starts at 101"},
		{"another file", func(m *archive.Meta) { m.File = file(2) }, "file mysql-bin.000002"},
		{"bad range", func(m *archive.Meta) { m.End = m.Start - 1 }, "invalid range"},
		{"empty, ends nothing", func(m *archive.Meta) { m.End = m.Start }, "ends nothing"},
		{"no next file", func(m *archive.Meta) { m.EndsFile = true }, "next_file"},
		{"next file without end", func(m *archive.Meta) { m.NextFile = file(2) }, "next_file"},
		{"next file is a path", func(m *archive.Meta) { m.EndsFile, m.NextFile = true, "../x.000001" }, "next file"},
		{"next file without number", func(m *archive.Meta) { m.EndsFile, m.NextFile = true, "x" }, "next file"},
		{"closes with data", func(m *archive.Meta) { m.ClosesTimeline = true }, "not a segment of its own"},
		{"no hash", func(m *archive.Meta) { m.BytesHash = "" }, "invalid hash"},
		{"no overlap hash", func(m *archive.Meta) { m.OverlapHash = "XYZ" }, "invalid hash"},
		{"overlap past the end", func(m *archive.Meta) { m.OverlapStart = m.End + 1 }, "overlap_start"},
		{"GTID set", func(m *archive.Meta) { m.GTIDSet = "x" }, "gtid_set"},
		{"previous GTID set", func(m *archive.Meta) { x := "x"; m.PreviousGTIDSet = &x }, "previous_gtid_set"},
	}
	b := newBuilder(t)
	b.data(100)
	for _, test := range tests {
		seg := b.segment(b.end, 10)
		test.change(&seg.Meta)
		if _, err := b.Append(t.Context(), b.end, seg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if got := b.walk(nil); got.Offset != 100 {
		t.Errorf("something was appended: %s", got)
	}
	b.close()
	if _, err := b.Append(t.Context(), b.end, b.segment(b.end, 10)); err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("closed timeline: got %v", err)
	}
}

// TestAppendExists says what is mine among what can be found at the chain's end.
func TestAppendExists(t *testing.T) {
	tests := []struct {
		name  string
		there func(b *builder) // what another writer does first
		mine  bool
	}{
		{"the same", func(b *builder) { b.data(100) }, true},
		{"the same by another worker", func(b *builder) {
			seg := b.segment(b.end, 100)
			seg.Meta.Term, seg.Meta.ServerID = 9, "w9"
			b.append(seg)
		}, true},
		{"another cut", func(b *builder) { b.data(101) }, false},
		{"other bytes", func(b *builder) {
			seg := b.segment(b.end, 100)
			seg.Meta.BytesHash = archive.Hash([]byte("other"))
			b.append(seg)
		}, false},
		{"the file's end", func(b *builder) { b.rotate(100, file(2)) }, false},
		{"the timeline's end", func(b *builder) { b.close() }, false},
		{"garbage", func(b *builder) { b.write(b.path(1, file(1), 0), []byte("garbage")) }, false},
		{"nothing in it", func(b *builder) { b.write(b.path(1, file(1), 0), nil) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			start, seg := b.end, b.segment(b.end, 100)
			test.there(b)
			end, err := b.Append(t.Context(), start, seg)
			conflict := (*archive.ConflictError)(nil)
			if got := err == nil; got != test.mine || !got && !errors.As(err, &conflict) {
				t.Fatalf("got %v, want it to be mine: %t", err, test.mine)
			}
			if test.mine && end.Last.Term != b.end.Last.Term {
				t.Errorf("got term %d, want that of what is there", end.Last.Term)
			}
			if !test.mine && !reflect.DeepEqual(end, start) {
				t.Errorf("got %s with the error, want the end unchanged", end)
			}
		})
	}
}

// TestAppendLooksBehind changes by hand what is to be appended to: nothing may come behind it.
func TestAppendLooksBehind(t *testing.T) {
	last := func(b *builder) string { return b.path(1, file(1), 100) }
	tests := []struct {
		name string
		hand func(b *builder)
		fine bool
	}{
		{"nothing", func(*builder) {}, true},
		{"deleted", func(b *builder) { b.remove(last(b)) }, false},
		{"renamed", func(b *builder) { b.rename(last(b), last(b)+".old") }, false},
		{"truncated", func(b *builder) { b.write(last(b), nil) }, false},
		{"another one", func(b *builder) { b.write(last(b), b.read(b.path(1, file(1), 0))) }, false},
		{"archive moved away", func(b *builder) { os.Rename(b.dir+"/orders", b.dir+"/orders.old") }, false},
		{"one before it deleted", func(b *builder) { b.remove(b.path(1, file(1), 0)) }, true}, // Verify finds that
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			b.data(100)
			b.data(50)
			before := objects(t, b.dir)
			test.hand(b)
			_, err := b.Append(t.Context(), b.end, b.segment(b.end, 10))
			conflict := (*archive.ConflictError)(nil)
			if test.fine != (err == nil) || err != nil && !errors.As(err, &conflict) {
				t.Errorf("got %v, want a *ConflictError: %t", err, !test.fine)
			}
			if after := objects(t, b.dir); !test.fine && after > before {
				t.Errorf("%d objects became %d", before, after)
			}
		})
	}
}

// objects counts the files in a folder and below.
func objects(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAppendLostReply loses the reply of an append, and the append itself: the
// same append tried again must succeed either way.
func TestAppendLostReply(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		b := newBuilder(t)
		faulty := storetest.NewFaulty(t, b.store)
		faulty.FailCreate(1, when, nil)
		a := archive.New(faulty, task)
		seg := b.segment(b.end, 100)
		store := (*archive.StoreError)(nil)
		if _, err := a.Append(t.Context(), b.end, seg); !errors.As(err, &store) || !errors.Is(err, storetest.ErrInjected) {
			t.Fatalf("got %v, want a *StoreError", err)
		}
		end, err := a.Append(t.Context(), b.end, seg)
		if err != nil || end.Offset != 100 {
			t.Errorf("tried again: got %s, %v", end, err)
		}
	}
}

// TestCloseTwice closes a timeline that another writer has closed: that is the own
// doing only if it was for the same reason and server.
func TestCloseTwice(t *testing.T) {
	closed := archive.Closing{Reason: archive.ReasonGap, Server: uuid}
	for _, again := range []archive.Closing{closed, {Reason: archive.ReasonDiverged, Server: uuid}, {Reason: archive.ReasonGap, Server: "another"}, {}} {
		b := newBuilder(t)
		b.data(100)
		if end, err := b.CloseTimeline(t.Context(), b.end, closed, 1, "w1"); err != nil || end.Closing() != closed {
			t.Fatalf("got %+v, %v, want %+v", end.Closing(), err, closed)
		}
		_, err := b.CloseTimeline(t.Context(), b.end, again, 2, "w2")
		if conflict := (*archive.ConflictError)(nil); errors.As(err, &conflict) != (again != closed) || err != nil && conflict == nil {
			t.Errorf("closed for %+v, then for %+v: %v", closed, again, err)
		}
		if got := b.walk(nil).Closing(); got != closed {
			t.Errorf("walked to %+v, want %+v", got, closed)
		}
	}
}

// TestAppendReadBackFails checks that an unreachable store is no conflict.
func TestAppendReadBackFails(t *testing.T) {
	b := newBuilder(t)
	start, seg := b.end, b.segment(b.end, 100)
	b.append(seg)
	faulty := storetest.NewFaulty(t, b.store)
	faulty.FailOpen(1, nil)
	_, err := archive.New(faulty, task).Append(t.Context(), start, seg)
	conflict := (*archive.ConflictError)(nil)
	if !errors.Is(err, storetest.ErrInjected) || errors.As(err, &conflict) {
		t.Errorf("got %v, want the store's error", err)
	}
}

// TestAppendZombie lets a put that hung arrive after its timeline was closed.
func TestAppendZombie(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	faulty := storetest.NewFaulty(t, b.store)
	reached, release := faulty.HangCreate(1, storetest.Before)
	start, seg := b.end, b.segment(b.end, 50)
	zombie := make(chan error)
	go func() {
		_, err := archive.New(faulty, task).Append(context.WithoutCancel(t.Context()), start, seg)
		zombie <- err
	}()
	<-reached
	b.close()
	release()
	if conflict := (*archive.ConflictError)(nil); !errors.As(<-zombie, &conflict) {
		t.Errorf("the zombie's append did not conflict")
	}
	if got := b.walk(nil); !got.Closed || got.Offset != 100 {
		t.Errorf("got %s, want the closed end", got)
	}
}

// TestAppendRace lets writers with different cuts race. Whatever they do, the
// archive must be one linear chain of the right bytes.
func TestAppendRace(t *testing.T) {
	const writers, size = 4, 3000
	b := newBuilder(t)
	start := b.end
	var wg sync.WaitGroup
	for w := range writers {
		cut := rand.New(rand.NewPCG(uint64(w), 7))
		wg.Go(func() {
			for end := start; end.Offset < size; {
				next, err := b.Append(context.Background(), end, b.segment(end, min(1+cut.Int64N(99), size-end.Offset)))
				if conflict := (*archive.ConflictError)(nil); errors.As(err, &conflict) {
					next, err = b.Walk(context.Background(), end.Hint())
				}
				if err != nil {
					t.Error(err)
					return
				}
				end = next
			}
		})
	}
	wg.Wait()
	b.want["00000001/"+file(1)] = content(file(1), 0, size)
	report, err := b.Verify(t.Context(), nil)
	if err != nil || !report.OK || report.Bytes != size {
		t.Errorf("got %+v, %v", report, err)
	}
	b.checkExport(archive.Newest)
}

func TestResume(t *testing.T) {
	b := newBuilder(t)
	if got, want := b.end.Resume(), (binlog.Start{File: file(1)}); got != want {
		t.Errorf("without segments: got %+v, want %+v", got, want)
	}
	seg := b.segment(b.end, 100)
	seg.Meta.OverlapStart, seg.Meta.OverlapHash = 40, archive.Hash([]byte("overlap"))
	seg.Meta.OpenTransaction = uuid + ":2"
	b.append(seg)
	overlap := binlog.Overlap{From: 40, To: 100, Hash: archive.Hash([]byte("overlap")), Open: uuid + ":2"}
	check := func(what string) {
		t.Helper()
		for _, end := range []archive.End{b.end, b.walk(nil), b.walk(b.end.Hint())} {
			got := end.Resume()
			if got.File != file(1) || *got.Overlap != overlap {
				t.Errorf("%s: got %s %+v, want %+v", what, got.File, *got.Overlap, overlap)
			}
		}
	}
	check("after data")
	b.crash(file(2))
	overlap.NextFile = file(2)
	check("after an empty segment that ends the file")
	b.data(10)
	if got := b.end.Resume(); got.File != file(2) || got.Overlap.From != 0 || got.Overlap.To != 10 || got.Overlap.NextFile != "" {
		t.Errorf("in the next file: got %s %+v", got.File, *got.Overlap)
	}
}

func TestGTIDSet(t *testing.T) {
	b := newBuilder(t)
	seg := b.segment(b.end, 10)
	previous := uuid + ":1-70"
	seg.Meta.PreviousGTIDSet, seg.Meta.GTIDSet = &previous, uuid+":71-72"
	b.append(seg)
	if got, want := b.walk(nil).GTIDSet.String(), uuid+":1-72"; got != want {
		t.Errorf("got %s, want %s: what was before the first file counts", got, want)
	}
	b.close()
	b.timeline(file(1))
	if got := b.end.GTIDSet.String(); got != "" {
		t.Errorf("new timeline: got %s, want nothing", got)
	}
}

func TestCreateTimeline(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	b.close()
	tl := archive.Timeline{
		Timeline: 2, Flavor: gtid.MariaDB, ServerVersion: "11.8", Reason: archive.ReasonGap,
		Previous: b.end.Previous(), Gap: &archive.Gap{From: archive.Place{File: file(1), Position: 100}, To: archive.Place{File: file(9)}},
		CreatedAt: created, Term: 3, ServerID: "w1", FirstFile: file(9), SourceServerID: 7, ServerUID: "u",
	}
	for _, try := range []string{"first", "again, with a lost reply"} {
		if err := b.CreateTimeline(t.Context(), tl); err != nil {
			t.Errorf("%s: %v", try, err)
		}
	}
	other := tl
	other.FirstFile = file(8)
	if conflict := (*archive.ConflictError)(nil); !errors.As(b.CreateTimeline(t.Context(), other), &conflict) {
		t.Error("another timeline of the same number did not conflict")
	}
	timelines, err := b.Timelines(t.Context())
	tl.Format, tl.Task = 1, task
	if err != nil || len(timelines) != 2 || !reflect.DeepEqual(timelines[1], tl) {
		t.Errorf("got %+v, %v, want %+v last", timelines, err, tl)
	}
	for n := 3; n < 12; n++ {
		tl.Timeline = int64(n)
		if err := b.CreateTimeline(t.Context(), tl); err != nil {
			t.Fatal(err)
		}
	}
	if timelines, err = b.Timelines(t.Context()); err != nil || timelines[len(timelines)-1].Timeline != 11 {
		t.Errorf("got %v, %v, want the newest last", fmt.Sprint(timelines), err)
	}
}
