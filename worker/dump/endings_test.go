package dump

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
	"binkeeper/internal/coord"
	"binkeeper/internal/mysqltest"
	"binkeeper/internal/secret"
	"binkeeper/zkpaths"
)

// TestEndings lets attempts end in each of their ways. Each begins behind one that has
// archived two transactions.
func TestEndings(t *testing.T) {
	tests := []struct {
		name   string
		change func(f *attemptFixture)
		kind   EndKind
		reason string
		found  string
		seen   string
	}{
		{"fenced", func(f *attemptFixture) { f.term.refuse(fmt.Errorf("commit: %w", coord.ErrFenced)) }, EndedFenced, "", "", ""},
		{"cut off", func(f *attemptFixture) { f.term.away() }, EndedCutOff, "", "", ""},
		{"ZooKeeper refuses", func(f *attemptFixture) { f.term.refuse(&coord.RefusedError{Answer: "quota"}) }, EndedByTrouble, ReasonCoordination, "", ""},
		{"the source is away", func(f *attemptFixture) { f.source.Leave() }, EndedByTrouble, ReasonSource, "", ""},
		{"the source denies the account", func(f *attemptFixture) { f.source.Deny(true) }, EndedByTrouble, ReasonSource, "", ""},
		{"the store is away", func(f *attemptFixture) {
			store := storetest.NewOutage(f.T, f.folder)
			store.Away(storetest.ErrInjected)
			f.storeIn(store)
		}, EndedByTrouble, ReasonStore, "", ""},
		{"the store cannot be opened", func(f *attemptFixture) {
			f.cfg.OpenStore = func(string) (archive.Store, error) {
				return nil, &archive.StoreError{Store: "file:///archive", Op: "open", Err: storetest.ErrInjected}
			}
		}, EndedByTrouble, ReasonStore, "", ""},

		{"no store has the URL", func(f *attemptFixture) {
			f.cfg.OpenStore = func(string) (archive.Store, error) { return nil, errors.New("an unknown scheme") }
		}, EndedBlocked, zkpaths.BlockedBadSpec, "", ""},
		{"a spec that no worker can work by", func(f *attemptFixture) { f.cfg.Spec.ReplicaServerID = 0 }, EndedBlocked, zkpaths.BlockedBadSpec, "", ""},
		{"a password that this worker may not read", func(f *attemptFixture) {
			f.cfg.ResolvePassword, f.cfg.Spec.PasswordRef = secret.Limits{}.Resolve, "file:/nowhere/password"
		}, EndedBlocked, zkpaths.BlockedNotAllowed, "", ""},
		{"the archive is another task's", func(f *attemptFixture) { f.cfg.Spec.TaskUID = "another" }, EndedBlocked, zkpaths.BlockedOtherTask, "", ""},
		{"the archive ends before the checkpoint", func(f *attemptFixture) {
			f.term.last.SegmentStart += 10
			f.term.last.SegmentEnd += 10
			f.term.last.Position += 10
		},
			EndedBlocked, zkpaths.BlockedArchiveBehind, "", ""},
		{"an object on the chain is unreadable", func(f *attemptFixture) {
			end := f.end()
			if err := f.folder.Create(f.Context(), archive.New(nil, "orders").SegmentName(end.Timeline, end.File, end.Offset), []byte("no segment")); err != nil {
				f.Fatal(err)
			}
		}, EndedBlocked, zkpaths.BlockedArchiveBroken, "", ""},
		{"purged", func(f *attemptFixture) {
			f.source.Commit(10)
			f.source.Rotate()
			f.source.Commit(10)
			f.source.Purge("mysql-bin.000002")
		}, EndedBlocked, zkpaths.BlockedPurged, archive.ReasonGap, uuidA},
		{"renamed, with something in between", func(f *attemptFixture) { f.source.Commit(10); f.source.Rename("other-bin") },
			EndedBlocked, zkpaths.BlockedPurged, archive.ReasonGap, uuidA},
		{"a crash has lost what is archived", func(f *attemptFixture) { f.source.Crash(1) }, EndedBlocked, zkpaths.BlockedDiverged, archive.ReasonDiverged, uuidA},
		{"the same, and others have the lost GTIDs: the stream shows it", func(f *attemptFixture) { f.source.Crash(1); f.source.Commit(500) },
			EndedBlocked, zkpaths.BlockedDiverged, archive.ReasonDiverged, uuidA},
		{"reset", func(f *attemptFixture) { f.source.Reset() }, EndedBlocked, zkpaths.BlockedDiverged, archive.ReasonDiverged, uuidA},
		{"another server", func(f *attemptFixture) { f.source.Become(mysqltest.Identity{UUID: uuidB, ServerID: 8}) },
			EndedBlocked, zkpaths.BlockedOtherSource, "", uuidB},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				f.source.Commit(100)
				f.source.Commit(200)
				f.goesOn()
				end, committed := f.end(), f.term.Last().Position
				test.change(f)
				e := f.ending(f.start())
				if e.Kind != test.kind || e.Reason != test.reason || e.Found != test.found || e.Seen != test.seen || e.Err == nil || e.Disproved || e.TornHere {
					f.Errorf("it ended with %+v", e)
				}
				if e.Kind == EndedBlocked && (e.Hint == "" || e.Detail == "") {
					f.Errorf("it is blocked without a word: %q, hint %q", e.Detail, e.Hint)
				}
				if test.reason == zkpaths.BlockedArchiveBroken {
					return
				}
				if now := f.end(); now.Offset != end.Offset || now.File != end.File || now.Timeline != 1 {
					f.Errorf("the archive has come from %s to %s", end, now)
				}
				if now := f.term.Last().Position; test.kind != EndedBlocked && now != committed {
					f.Errorf("the checkpoint has moved from %d to %d", committed, now)
				}
			})
		})
	}
}

// A source whose files have another name goes on in the archive, if all before is archived.
func TestRenamedSource(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		f.source.Commit(100)
		f.goesOn()
		f.source.Rename("other-bin")
		f.source.Commit(100)
		f.goesOn()
		if end := f.end(); end.Timeline != 1 || end.File != "other-bin.000001" {
			f.Errorf("the archive ends in %s", end)
		}
	})
}

// What blocks goes on in a new timeline once an operator has said so, and the archive keeps both.
func TestAcceptedTimelines(t *testing.T) {
	tests := []struct {
		name, answer, reason string
		change               func(s *mysqltest.Source)
		gap                  bool
	}{
		{"a gap", zkpaths.AcceptGap, archive.ReasonGap, func(s *mysqltest.Source) { s.Commit(10); s.Rotate(); s.Commit(10); s.Purge("mysql-bin.000002") }, true},
		{"diverged", zkpaths.AcceptNewTimeline, archive.ReasonDiverged, func(s *mysqltest.Source) { s.Crash(1); s.Commit(500) }, false},
		{"another server", zkpaths.AcceptNewTimeline, archive.ReasonOtherSource,
			func(s *mysqltest.Source) { s.Become(mysqltest.Identity{UUID: uuidB, ServerID: 8}) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				f.source.Commit(100)
				f.goesOn()
				test.change(f.source)
				e := f.ending(f.start())
				last := f.term.Last()
				f.cfg.Spec.Accept = &zkpaths.Accept{Answer: test.answer, Timeline: last.Timeline, File: last.File, Position: last.Position, Reason: e.Reason, Server: e.Seen}
				f.goesOn()
				timelines, err := archive.New(f.folder, "orders").Timelines(f.Context())
				if err != nil || len(timelines) != 2 || timelines[1].Reason != test.reason || (timelines[1].Gap != nil) != test.gap {
					f.Errorf("timelines %+v, %v", timelines, err)
				}
			})
		})
	}
}

// The one of two primaries that comes second to a place ends by a conflict. It has appended
// nothing there, and goes on behind what the other has.
func TestConflict(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		f.source.Commit(100)
		f.goesOn()
		slow := f.open()
		other := *f
		other.term = &fakeTerm{number: f.term.Number() + 1, last: f.term.Last(), changed: make(chan struct{}), fixture: f}
		other.cfg.Term, other.cfg.Spec.ReplicaUUID = other.term, "22222222-2222-4222-8222-222222222222"
		other.cfg.Spec.FlushInterval = zkpaths.Duration(flushInterval / 2)
		quick := other.open()
		f.source.Commit(100)
		time.Sleep(flushInterval * 3 / 4) // the quick one has stored that
		f.source.Commit(100)
		e := f.over(slow)
		if e.Kind != EndedByConflict || e.Reason != ReasonConflict {
			f.Errorf("it ended with %+v", e)
		}
		other.stop(quick)
		f.goesOn()
	})
}
