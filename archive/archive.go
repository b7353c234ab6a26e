package archive

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
)

// An Archive is everything stored for one task. It is safe for concurrent use.
type Archive struct {
	store Store
	task  string
}

// New returns the archive of a task. It does no I/O.
func New(store Store, task string) *Archive { return &Archive{store, task} }

// Sweep removes what writers that died have left, and returns how much: see Store.
func (a *Archive) Sweep(ctx context.Context) (removed int, err error) {
	return a.store.Sweep(ctx, a.task)
}

// Reasons of a timeline.
const (
	ReasonFirst       = "first"        // the task's first
	ReasonGap         = "gap"          // the source purged what came next
	ReasonDiverged    = "diverged"     // the source's binlog is not what was archived
	ReasonOtherSource = "other-source" // another server
	ReasonClosed      = "closed"       // the one before was closed for a next one that did not come
)

// A Timeline is the content of timeline.json: one unbroken history of one source
// server, and what came before.
type Timeline struct {
	Format        int         `json:"format"`
	Task          string      `json:"task"`
	Timeline      int64       `json:"timeline"` // counts from 1
	Flavor        gtid.Flavor `json:"flavor"`
	ServerVersion string      `json:"server_version"`
	ServerUUID    string      `json:"server_uuid"` // "" on MariaDB
	Reason        string      `json:"reason"`
	Previous      *Previous   `json:"previous"` // nil for the first
	Gap           *Gap        `json:"gap"`      // nil without one
	CreatedAt     time.Time   `json:"created_at"`
	Term          int64       `json:"term"`
	ServerID      string      `json:"server_id"` // of the worker

	FirstFile      string `json:"first_file"`       // with which the timeline begins, at its byte 0
	SourceServerID uint32 `json:"source_server_id"` // MySQL's number: the identity on MariaDB
	ServerUID      string `json:"server_uid"`       // MariaDB's @@server_uid, or ""
}

// Server is whose binlog the timeline is.
func (t Timeline) Server() binlog.Server {
	return binlog.Server{Flavor: t.Flavor, UUID: t.ServerUUID, ID: t.SourceServerID, UID: t.ServerUID}
}

// Previous is exactly the end of the timeline before.
type Previous struct {
	Timeline int64  `json:"timeline"`
	File     string `json:"file"`
	Position int64  `json:"position"` // where its next byte would have gone
	GTIDSet  string `json:"gtid_set"`
}

// A Gap is what is not archived: what the source purged before it was, or, in a first
// timeline, what was archived and is lost.
type Gap struct {
	From        Place  `json:"from"`
	To          Place  `json:"to"`
	GTIDMissing string `json:"gtid_missing"`
}

// A Place is an offset in a binlog file.
type Place struct {
	File     string `json:"file"`
	Position int64  `json:"position"`
}

// Timelines returns the archive's timelines, the newest last. There may be none.
func (a *Archive) Timelines(ctx context.Context) ([]Timeline, error) {
	var timelines []Timeline
	for entry, err := range a.store.List(ctx, a.task, "") {
		if err != nil {
			return nil, fmt.Errorf("list timelines of %s: %w", a.task, err)
		}
		n, ok := parseNumber(entry.Name)
		if !ok || !entry.Dir {
			continue
		}
		tl, err := a.timeline(ctx, n)
		if errors.Is(err, ErrNotExist) {
			continue // a folder that was made for it, and no more
		}
		if err != nil {
			return nil, err
		}
		timelines = append(timelines, tl)
	}
	slices.SortFunc(timelines, func(x, y Timeline) int { return int(x.Timeline - y.Timeline) })
	return timelines, nil
}

// timeline reads one timeline.json.
func (a *Archive) timeline(ctx context.Context, n int64) (Timeline, error) {
	var tl Timeline
	name := a.timelineObject(n)
	if err := readObject(ctx, a.store, name, &tl); err != nil {
		return Timeline{}, err
	}
	switch {
	case tl.Task != a.task || tl.Timeline != n:
		return Timeline{}, &BrokenError{name, fmt.Sprintf("is of task %q, timeline %d", tl.Task, tl.Timeline)}
	case tl.Flavor != gtid.MySQL && tl.Flavor != gtid.MariaDB:
		return Timeline{}, &BrokenError{name, fmt.Sprintf("has unknown flavor %q", tl.Flavor)}
	case !ValidFile(tl.FirstFile):
		return Timeline{}, &BrokenError{name, fmt.Sprintf("has invalid first_file %q", tl.FirstFile)}
	}
	return tl, nil
}

// CreateTimeline begins a timeline. The one before it must be closed. If another
// writer began it, that is a *ConflictError, unless it is the same.
func (a *Archive) CreateTimeline(ctx context.Context, tl Timeline) error {
	tl.Format, tl.Task, tl.CreatedAt = Format, a.task, tl.CreatedAt.UTC()
	name := a.timelineObject(tl.Timeline)
	if tl.Timeline < 1 || !ValidFile(tl.FirstFile) {
		return fmt.Errorf("create %s: invalid timeline %d or first file %q", name, tl.Timeline, tl.FirstFile)
	}
	err := createObject(ctx, a.store, name, tl)
	if !errors.Is(err, ErrExist) {
		return err
	}
	there, err := a.timeline(ctx, tl.Timeline)
	if err != nil {
		return err
	}
	if !there.CreatedAt.Equal(tl.CreatedAt) {
		return &ConflictError{Object: name}
	}
	there.CreatedAt = tl.CreatedAt
	if !reflect.DeepEqual(there, tl) {
		return &ConflictError{Object: name}
	}
	return nil
}
