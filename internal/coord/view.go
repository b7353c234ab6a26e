package coord

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// A TaskView is all that stands in ZooKeeper of one task. Each part that could
// not be read has its own error: *zkpaths.UnreadableError,
// *zkpaths.NewerFormatError, or ErrMissing.
type TaskView struct {
	ID                string
	Spec              zkpaths.Spec
	SpecVersion       int32
	SpecErr           error
	Line              []Member // first in line first
	LineErr           error
	Foreign           []string // children of the line that are no instances
	LastCommit        zkpaths.LastCommit
	LastCommitVersion int32
	LastCommitErr     error
	Status            zkpaths.Status
	StatusVersion     int32
	StatusErr         error
}

// A Member is one instance in a task's line.
type Member struct {
	zkpaths.Place
	Session  int64 // that holds it
	Instance zkpaths.Instance
	Err      error // why Instance is not known
}

// Look reads everything of one task. ErrNoTask: there is no such task.
func (s *Session) Look(ctx context.Context, id string) (TaskView, error) {
	var view TaskView
	err := s.certain(ctx, func() (err error) {
		view, err = s.lookOnce(ctx, id)
		return err
	})
	if err != nil {
		return TaskView{}, fmt.Errorf("look at task %s: %w", id, err)
	}
	return view, nil
}

func (s *Session) lookOnce(ctx context.Context, id string) (view TaskView, err error) {
	view.ID = id
	view.SpecVersion, view.SpecErr, err = s.part(ctx, zkpaths.Task(id), &view.Spec)
	if err != nil {
		return view, err
	}
	if errors.Is(view.SpecErr, ErrMissing) {
		return view, ErrNoTask
	}
	view.LastCommitVersion, view.LastCommitErr, err = s.part(ctx, zkpaths.Checkpoint(id), &view.LastCommit)
	if err != nil {
		return view, err
	}
	view.StatusVersion, view.StatusErr, err = s.part(ctx, zkpaths.State(id), &view.Status)
	if err != nil {
		return view, err
	}
	listed, err := s.list(ctx, zkpaths.Line(id))
	if errors.Is(err, zk.ErrNoNode) {
		view.LineErr = fmt.Errorf("%s: %w", zkpaths.Line(id), ErrMissing)
		return view, nil
	}
	if err != nil {
		return view, err
	}
	line, foreign := zkpaths.ParseLine(listed.children)
	view.Foreign = foreign
	for _, member := range line {
		if err := s.member(ctx, &view, member); err != nil {
			return view, err
		}
	}
	return view, nil
}

// part reads one payload: its version, what is wrong with it, and what kept it
// from being read.
func (s *Session) part(ctx context.Context, path string, p zkpaths.Payload) (version int32, wrong, err error) {
	found, err := s.get(ctx, path)
	if errors.Is(err, zk.ErrNoNode) {
		return -1, fmt.Errorf("%s: %w", path, ErrMissing), nil
	}
	if err != nil {
		return -1, nil, err
	}
	return found.stat.Version, zkpaths.Decode(path, found.data, p), nil
}

// member reads one payload of the line, unless it has vanished meanwhile. What no
// session holds is no instance, whatever its name.
func (s *Session) member(ctx context.Context, view *TaskView, place zkpaths.Place) error {
	path := zkpaths.Member(view.ID, place.Name)
	found, err := s.get(ctx, path)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil
	case err != nil:
		return err
	case found.stat.EphemeralOwner == 0:
		view.Foreign = append(view.Foreign, place.Name)
		return nil
	}
	m := Member{Place: place, Session: found.stat.EphemeralOwner}
	m.Err = zkpaths.Decode(path, found.data, &m.Instance)
	view.Line = append(view.Line, m)
	return nil
}
