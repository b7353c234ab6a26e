package archive

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// An Owner is a task whose archive this is, or was: the content of task.json, which is
// owner 1, or of owners/<number>.json. The highest number owns the archive.
type Owner struct {
	Format    int       `json:"format"`
	Task      string    `json:"task"`
	TaskUID   string    `json:"task_uid"` // random, drawn at the task's creation
	CreatedAt time.Time `json:"created_at"`
	Number    int64     `json:"number,omitempty"`    // not written in task.json
	TookOver  string    `json:"took_over,omitempty"` // the task_uid of the owner before; not in task.json
}

// Owner returns whose archive this is. It returns ErrNotExist when it has no owner.
func (a *Archive) Owner(ctx context.Context) (Owner, error) {
	numbers, err := a.adoptions(ctx)
	if err != nil {
		return Owner{}, err
	}
	for _, n := range slices.Backward(numbers) {
		o, err := a.owner(ctx, n)
		if !errors.Is(err, ErrNotExist) { // else it is disowned since it was listed
			return o, err
		}
	}
	return a.owner(ctx, 1)
}

// adoptions returns the numbers of the owners after the first, in order.
func (a *Archive) adoptions(ctx context.Context) ([]int64, error) {
	var numbers []int64
	dir := path.Join(a.task, ownersDir)
	for entry, err := range a.store.List(ctx, dir, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		base, isObject := strings.CutSuffix(entry.Name, ownerSuffix)
		if n, ok := parseNumber(base); ok && isObject && n > 1 && !entry.Dir {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// owner reads one owner.
func (a *Archive) owner(ctx context.Context, n int64) (Owner, error) {
	var o Owner
	name := a.ownerObject(n)
	if err := readObject(ctx, a.store, name, &o); err != nil {
		return Owner{}, err
	}
	if n == 1 {
		o.Number = 1 // which it does not say
	}
	switch {
	case o.TaskUID == "":
		return Owner{}, &BrokenError{name, "has no task_uid"}
	case o.Number != n || n > 1 && o.Task != a.task:
		return Owner{}, &BrokenError{name, fmt.Sprintf("is owner %d of task %q", o.Number, o.Task)}
	}
	return o, nil
}

// CreateOwner makes the archive o's, unless it has an owner, and returns whose it
// is.
func (a *Archive) CreateOwner(ctx context.Context, o Owner) (Owner, error) {
	o.Number, o.TookOver = 0, ""
	o.Format, o.Task, o.CreatedAt = Format, a.task, o.CreatedAt.UTC()
	err := createObject(ctx, a.store, a.ownerObject(1), o)
	if errors.Is(err, ErrExist) {
		return a.Owner(ctx)
	}
	o.Number = 1
	return o, err
}

// Adopt makes the archive, which has another owner, o's, and returns o as it is written.
// What had owned it before finds that out before its next dump or timeline. It returns
// ErrNotExist when the archive has no owner.
func (a *Archive) Adopt(ctx context.Context, o Owner) (Owner, error) {
	before, err := a.Owner(ctx)
	for err == nil && before.TaskUID != o.TaskUID {
		o.Format, o.Task, o.CreatedAt = Format, a.task, o.CreatedAt.UTC()
		o.Number, o.TookOver = before.Number+1, before.TaskUID
		if err = a.store.Sync(ctx, a.ownerObject(before.Number)); err != nil {
			return Owner{}, err
		}
		if err = createObject(ctx, a.store, a.ownerObject(o.Number), o); err == nil {
			return o, nil
		}
		if errors.Is(err, ErrExist) { // another adoption came before, or a reply was lost
			before, err = a.owner(ctx, o.Number)
		}
	}
	return before, err
}

// Disown takes an adoption back that has come to nothing: whose the archive was, it is
// again. Nothing may have been archived by it.
func (a *Archive) Disown(ctx context.Context, o Owner) error {
	name := a.ownerObject(o.Number)
	if o.Number < 2 {
		return fmt.Errorf("disown %s: the first owner stays", name)
	}
	if err := a.store.Delete(ctx, name); err != nil {
		return fmt.Errorf("disown %s: %w", name, err)
	}
	return nil
}
