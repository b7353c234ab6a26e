package dump

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/failure"
	"binkeeper/zkpaths"
)

// An archive that a task is known to have is not made at another place, whatever the
// checkpoint says, and whatever an operator has answered.
func TestOwnerIsNotMadeElsewhere(t *testing.T) {
	past := zkpaths.LastCommit{Timeline: 1, File: "mysql-bin.000002", Position: 700}
	for name, last := range map[string]zkpaths.LastCommit{"no checkpoint": {}, "a checkpoint": past} {
		t.Run(name, func(t *testing.T) {
			elsewhere, err := dirstore.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				d, store := newDump(elsewhere, "nothing", 0)
				d.cfg.Spec = zkpaths.Spec{Owner: true, TaskUID: "uid", Archive: "file:///backup/binlogs", Accept: &zkpaths.Accept{
					Answer: zkpaths.AcceptArchive, Timeline: last.Timeline, File: last.File, Position: last.Position, Reason: zkpaths.BlockedArchiveBehind}}
				err := d.checkOwner(t.Context(), archive.New(store, "orders"), last)
				if !IsBlocked(err) || classify(err).Reason != zkpaths.BlockedArchiveBehind || !strings.Contains(failure.Hint(err), "/backup/binlogs") {
					t.Errorf("got %v (hint %q), want it to be blocked, and the hint to name the mount", err, failure.Hint(err))
				}
				if _, err := archive.New(store, "orders").Owner(t.Context()); !errors.Is(err, archive.ErrNotExist) {
					t.Errorf("the archive was made: %v", err)
				}
			})
		})
	}
	t.Run("seen late", func(t *testing.T) {
		folder, _ := newArchive(t)
		synctest.Test(t, func(t *testing.T) {
			d, store := newDump(folder, "orders/task.json", 3*time.Second)
			d.cfg.Spec = zkpaths.Spec{Owner: true, TaskUID: "uid"}
			if err := d.checkOwner(t.Context(), archive.New(store, "orders"), zkpaths.LastCommit{}); err != nil {
				t.Errorf("got %v", err)
			}
		})
	})
}
