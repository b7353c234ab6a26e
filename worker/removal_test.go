package worker

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/zktest"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// What removes a vanished task stands for a minute from when a worker has seen it, and
// is on record then. A worker that stops meanwhile leaves it to the next, and a task that
// is created in its place stays.
func TestRemovalOfAVanishedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := zktest.New(zktest.Options{})
		defer server.Close()
		cfg := coord.Config{Servers: []string{"127.0.0.1:2181"}, Root: "/b", Dial: server.Dial, Logger: zerolog.Nop()}
		s, err := coord.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		work := func() (stop func()) {
			w, err := New(Config{
				ServerID: "1", ZooKeeper: cfg, Logger: zerolog.Nop(),
				OpenStore:       func(string) (archive.Store, error) { return nil, errors.New("no store") },
				ResolvePassword: func(string) (string, []string, error) { return "", nil, errors.New("no password") },
				DialSource:      func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no source") },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.Run(ctx) }()
			return func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		removes := func(id string) bool {
			t.Helper()
			spec, _, err := s.Spec(t.Context(), id)
			if err != nil && !errors.Is(err, coord.ErrNoTask) {
				t.Fatal(err)
			}
			return err == nil && spec.RemovesVanished()
		}
		removeVanished := func(id string) {
			t.Helper()
			if err := s.RemoveVanished(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}

		removeVanished("orders")
		time.Sleep(10 * time.Minute)
		if !removes("orders") {
			t.Error("without a worker, it is gone")
		}
		stop := work()
		time.Sleep(zkpaths.VanishedStands - 5*time.Second)
		stop()
		time.Sleep(time.Minute)
		if !removes("orders") {
			t.Error("a worker that has stopped before its minute was over has removed it")
		}
		stop = work()
		defer func() { stop() }()
		removeVanished("users")
		time.Sleep(zkpaths.VanishedStands / 2)
		if err := s.CreateTask(t.Context(), "users", zkpaths.Spec{
			Source: "mysql://u@127.0.0.1:3306", Archive: "file:///a", Start: "earliest", SegmentSize: 8 << 20,
			FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second), Desired: zkpaths.Running,
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(zkpaths.VanishedStands/2 - 5*time.Second)
		if !removes("orders") {
			t.Error("it is gone before its minute is over")
		}
		time.Sleep(10 * time.Second)
		if removes("orders") {
			t.Error("it stands for more than a minute")
		}
		list := <-s.FollowTasks(t.Context())
		if !list.Removed.Has("orders") || list.Removed.Has("users") || len(list.IDs) != 1 {
			t.Errorf("tasks %q, removed %+v", list.IDs, list.Removed.Tasks)
		}
		if v, err := s.Look(t.Context(), "users"); err != nil || len(v.Line) != 1 {
			t.Errorf("the task that was created: %+v, %v", v, err)
		}
		// The removal of a task that is there is immediate.
		if _, err := s.UpdateSpec(t.Context(), "users", func(spec *zkpaths.Spec) error { spec.Desired = zkpaths.Removed; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if ids, err := s.Tasks(t.Context()); err != nil || len(ids) != 0 {
			t.Errorf("tasks %q, %v", ids, err)
		}
	})
}
