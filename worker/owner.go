package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// checkOwner makes sure that the archive is this task's: two fleets, or a task
// made anew, never share a chain unknowingly. An archive that is nobody's is made this
// task's, unless the task is known to have one.
func (d *dump) checkOwner(ctx context.Context, arch *archive.Archive, last zkpaths.LastCommit) error {
	owner, err := arch.Owner(ctx)
	begun := last.Timeline > 0 || d.known != ""
	if (begun || d.spec.Owner) && errors.Is(err, archive.ErrNotExist) {
		if err := d.awaitSecondLook(ctx); err != nil {
			return err
		}
		owner, err = arch.Owner(ctx)
	}
	if errors.Is(err, archive.ErrNotExist) {
		if d.spec.Owner {
			return d.blockedElsewhere()
		}
		if begun && !acceptedArchive(d.spec, last) {
			return blockedBehind(fmt.Errorf("there is no archive at %s, although the task has archived up to %s", d.spec.Archive, cmp.Or(last.File, d.known)))
		}
		if err := d.t.t.Barrier(ctx); err != nil {
			return err
		}
		owner, err = arch.CreateOwner(ctx, archive.Owner{TaskUID: d.spec.TaskUID, CreatedAt: time.Now()})
	}
	if err != nil {
		return err
	}
	return d.owns(owner)
}

// blockedElsewhere is for a store without the task.json that the task is known to have.
// No answer makes one: it would be made wherever this worker's host has the folder.
func (d *dump) blockedElsewhere() error {
	return blocked(zkpaths.BlockedArchiveBehind,
		fmt.Errorf("there is no %s/task.json at %s, although the task has an archive", d.t.m.task, d.spec.Archive),
		fmt.Sprintf("mount the shared folder on this worker's host, so that %s is the one that the task was created with (an empty mount point is a folder like any other); "+
			"if the archive is lost for good, remove the task and create it anew (--accept-archive goes on with what is left of an archive, and makes none)", d.spec.Archive))
}

// owns reports an owner that is not this task.
func (d *dump) owns(owner archive.Owner) error {
	if owner.TaskUID == d.spec.TaskUID {
		return nil
	}
	since := ""
	if owner.TookOver != "" {
		since = fmt.Sprintf(", which has taken it over (%s)", owner.CreatedAt.Format(time.RFC3339))
	}
	return blocked(zkpaths.BlockedOtherTask,
		fmt.Errorf("the archive at %s belongs to another task%s: its task_uid is %s, not %s", d.spec.Archive, since, owner.TaskUID, d.spec.TaskUID),
		"name another --archive, or remove the task and create it anew to take this archive over")
}

// prove makes sure, right before a dump or a timeline begins, that the archive is this
// task's still, and the term this primary's.
func (d *dump) prove(ctx context.Context, arch *archive.Archive) error {
	owner, err := arch.Owner(ctx)
	if errors.Is(err, archive.ErrNotExist) {
		return &archive.ConflictError{Object: d.t.m.task + "'s archive", Problem: "has gone since its end was looked for"}
	}
	if err == nil {
		err = d.owns(owner)
	}
	if err != nil {
		return err
	}
	return d.t.t.Barrier(ctx)
}

// markOwner writes into the spec, once a dump has proven to work, that the archive has
// its task.json. What an operator writes at the same time comes first: then the next
// report tries again.
func (t *term) markOwner(ctx context.Context) {
	view := t.m.spec
	if view.Spec.Owner || view.Gone || t.marked || t.dump == nil || !t.dump.progress.isOpen() || t.dump.stale(view.Spec) {
		return
	}
	view.Spec.Owner = true
	err := t.bounded(ctx, func(ctx context.Context) error { return t.t.SetSpec(ctx, view.Spec, view.Version) })
	switch {
	case errors.Is(err, coord.ErrFenced):
		t.replaced = true
	case err != nil && !errors.Is(err, coord.ErrDisconnected) && !errors.Is(err, coord.ErrSpecChanged):
		t.marked = true // or it would be tried for ever
		t.log.Warn().Err(err).Str("hint", hintOf(err)).Msg("cannot note in the spec that the archive has its task.json; a worker that misses it may make another one")
	}
}
