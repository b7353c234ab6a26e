package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/archive"
	"binkeeper/zkpaths"
)

// checkOwner makes sure that the archive is this task's: two fleets, or a task
// made anew, never share a chain unknowingly. An archive that is nobody's is made this
// task's, unless the task is known to have one.
func (d *dump) checkOwner(ctx context.Context, arch *archive.Archive, last zkpaths.LastCommit) error {
	owner, err := arch.Owner(ctx)
	begun := last.Timeline > 0 || d.known != ""
	if begun && errors.Is(err, archive.ErrNotExist) {
		if err := d.awaitSecondLook(ctx); err != nil {
			return err
		}
		owner, err = arch.Owner(ctx)
	}
	if errors.Is(err, archive.ErrNotExist) {
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
