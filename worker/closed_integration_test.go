//go:build faults

//faults:archive

package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/zkpaths"
)

// A barren store takes everything but the beginning of a timeline.
type barren struct{ archive.Store }

func (b barren) Create(ctx context.Context, name string, parts ...[]byte) error {
	if strings.HasSuffix(name, "/timeline.json") {
		return &archive.StoreError{Store: b.String(), Op: "create", Name: name, Err: errors.New("barren")}
	}
	return b.Store.Create(ctx, name, parts...)
}

func (f *fleet) end(id string) archive.End {
	f.t.Helper()
	end, err := f.archive(id).Walk(f.t.Context(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return end
}

// A primary closes the timeline, as the operator has allowed, and gets no further: the
// next one goes on with that.
func TestClosedAndNotBegun(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.compare("orders")
	stop()
	if err := f.src.Exec(t.Context(), "RESET BINARY LOGS AND GTIDS"); err != nil {
		t.Fatal(err)
	}
	stop = f.startWith("1", func(url string) (archive.Store, error) {
		store, err := stores.Open(url)
		return barren{store}, err
	})
	f.awaitBlocked("orders", zkpaths.BlockedDiverged)
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "a store that refuses", 20*time.Second, func(v coord.TaskView) bool { return strings.Contains(v.Status.Detail, "barren") })
	if got := f.end("orders").Closing(); got.Reason != archive.ReasonDiverged || got.Server == "" {
		t.Errorf("the timeline is closed for %+v", got)
	}
	stop()
	f.start("1")
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	f.compare("orders")
	if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Reason != archive.ReasonDiverged {
		t.Errorf("timelines %+v", timelines)
	}
}

// A zombie closes the timeline for another server, as the operator had allowed, and dies:
// no primary on the first one begins the next timeline without a word.
func TestClosedForAnotherServer(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.compare("orders")
	stop()
	const zombies = "99999999-0000-0000-0000-000000000009"
	end := f.end("orders")
	f.change("orders", func(s *zkpaths.Spec) {
		s.Accept = &zkpaths.Accept{Answer: zkpaths.AcceptNewTimeline, Timeline: end.Timeline, File: end.File, Position: end.Offset,
			Reason: zkpaths.BlockedOtherSource, Server: zombies}
	})
	if _, err := f.archive("orders").CloseTimeline(t.Context(), end, archive.Closing{Reason: archive.ReasonOtherSource, Server: zombies}, 1, "9"); err != nil {
		t.Fatal(err)
	}
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedClosed)
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "running", 20*time.Second, running)
	f.write(10)
	f.compare("orders")
	if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Reason != archive.ReasonClosed || timelines[1].Gap != nil {
		t.Errorf("timelines %+v", timelines)
	}
}
