package main

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/zktest"
	"binkeeper/zkpaths"
)

// How a removal ends for a task that is not there: it was served by a worker, or only
// the operator knows of it, or nothing does.
func TestRemoveVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := zktest.New(zktest.Options{})
		defer server.Close()
		s, err := coord.Open(t.Context(), coord.Config{Servers: []string{"127.0.0.1:2181"}, Dial: server.Dial, Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1", Vanished: []string{"missed"}}, nil); err != nil {
			t.Fatal(err)
		}
		p := &program{zookeeper: coord.NewEnsemble(), timeout: cli.Timeout(10 * time.Second), format: formatTable, dial: server.Dial}
		if err := p.zookeeper.Set("127.0.0.1:2181"); err != nil {
			t.Fatal(err)
		}
		run := func(want int, args ...string) {
			t.Helper()
			cmd := p.taskRemove()
			cmd.SetArgs(args)
			cmd.SetOut(new(bytes.Buffer))
			cmd.SetErr(new(bytes.Buffer))
			code := cli.OK
			if err := cmd.ExecuteContext(t.Context()); err != nil {
				code = cli.ErrorCode(err)
			}
			if code != want {
				t.Errorf("task remove %q: exit code %d, want %d", args, code, want)
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

		run(cli.OK, "missed")
		run(cli.OK, "missed") // once more does no harm
		run(cli.NotFound, "nobody")
		run(cli.OK, "forgotten", "--vanished")
		if !removes("missed") || !removes("forgotten") || removes("nobody") {
			t.Error("what was removed is to have a spec that says so, and no other")
		}
		run(cli.NotFound, "nobody")
		run(cli.OK, "nobody", "--vanished") // on record already
		run(cli.TimedOut, "missed", "--wait")
		if !removes("missed") {
			t.Error("it was removed at a time-out")
		}
		p.timeout = cli.Timeout(2 * time.Minute)
		began := time.Now()
		run(cli.OK, "missed", "--wait")
		if took := time.Since(began); removes("missed") || took < zkpaths.VanishedStands || took > zkpaths.VanishedStands+5*time.Second {
			t.Errorf("removed within %s: %t", took, !removes("missed"))
		}
		if list := <-s.FollowTasks(t.Context()); !list.Removed.Has("missed") || !list.Removed.Has("nobody") || list.Removed.Has("forgotten") {
			t.Errorf("on record: %+v", list.Removed.Tasks)
		}
		if err := mustBeNew(t.Context(), s, "forgotten"); err != nil {
			t.Errorf("a task of that name cannot be created meanwhile: %v", err)
		}
	})
}
