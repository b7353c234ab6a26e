package dump

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
// made anew, never share a chain unknowingly. An archive without an owner is made this
// task's, unless the task is known to have one.
func (d *Dump) checkOwner(ctx context.Context, arch *archive.Archive, last zkpaths.LastCommit) error {
	owner, err := arch.Owner(ctx)
	begun := last.Timeline > 0 || d.cfg.Before.Known != ""
	if (begun || d.cfg.Spec.Owner) && errors.Is(err, archive.ErrNotExist) {
		if err := d.awaitSecondLook(ctx); err != nil {
			return err
		}
		owner, err = arch.Owner(ctx)
	}
	if errors.Is(err, archive.ErrNotExist) {
		if d.cfg.Spec.Owner {
			return d.blockedElsewhere()
		}
		if begun && !acceptedArchive(d.cfg.Spec, last) {
			return blockedBehind(fmt.Errorf("there is no archive at %s, although the task has archived up to %s", d.cfg.Spec.Archive, cmp.Or(last.File, d.cfg.Before.Known)))
		}
		if err := d.cfg.Term.Barrier(ctx); err != nil {
			return err
		}
		owner, err = arch.CreateOwner(ctx, archive.Owner{TaskUID: d.cfg.Spec.TaskUID, CreatedAt: time.Now()})
	}
	if err != nil {
		return err
	}
	return d.owns(owner)
}

// blockedElsewhere is for a store without the task.json that the task is known to have.
// No answer makes one: it would be made wherever this worker's host has the folder.
func (d *Dump) blockedElsewhere() error {
	return Blocked(zkpaths.BlockedArchiveBehind,
		fmt.Errorf("there is no %s/task.json at %s, although the task has an archive", d.cfg.Task, d.cfg.Spec.Archive),
		fmt.Sprintf("mount the shared folder on this worker's host, so that %s is the one that the task was created with (an empty mount point is a folder like any other); "+
			"if the archive is lost for good, remove the task and create it anew (--accept-archive goes on with what is left of an archive, and makes none)", d.cfg.Spec.Archive))
}

// owns reports an owner that is not this task.
func (d *Dump) owns(owner archive.Owner) error {
	if owner.TaskUID == d.cfg.Spec.TaskUID {
		return nil
	}
	since := ""
	if owner.TookOver != "" {
		since = fmt.Sprintf(", which has taken it over (%s)", owner.CreatedAt.Format(time.RFC3339))
	}
	return Blocked(zkpaths.BlockedOtherTask,
		fmt.Errorf("the archive at %s belongs to another task%s: its task_uid is %s, not %s", d.cfg.Spec.Archive, since, owner.TaskUID, d.cfg.Spec.TaskUID),
		"name another --archive, or remove the task and create it anew to take this archive over")
}

// prove makes sure, right before a dump or a timeline begins, that the archive is this
// task's still, and the term this primary's.
func (d *Dump) prove(ctx context.Context, arch *archive.Archive) error {
	owner, err := arch.Owner(ctx)
	if errors.Is(err, archive.ErrNotExist) {
		return &archive.ConflictError{Object: d.cfg.Task + "'s archive", Problem: "has gone since its end was looked for"}
	}
	if err == nil {
		err = d.owns(owner)
	}
	if err != nil {
		return err
	}
	return d.cfg.Term.Barrier(ctx)
}
