package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ofSource plans that a source ends, and is started later, with whatever that takes.
func ofSource(end func(*source) error) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, s strike) (fault, error) {
		src := r.source(s.target)
		return fault{
			whom:  s.target,
			holds: []string{s.target},
			strike: func(context.Context) error {
				if !src.Running() {
					return &endedError{s.target}
				}
				return end(src)
			},
			heal: func(ctx context.Context) error {
				if src.Running() { // since its end has failed
					return nil
				}
				return src.Start(ctx)
			},
		}, nil
	}
}

// patienceSource is how long one statement may take that a strike runs.
const patienceSource = 3 * time.Second

// killDumps ends every dump of a source's.
func (r *rig) killDumps(_ context.Context, s strike) (fault, error) {
	return fault{whom: s.target, strike: r.source(s.target).endDumps}, nil
}

// endDumps ends every dump that is open, by a statement.
func (s *source) endDumps(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patienceSource)
	defer cancel()
	rows, err := s.DB().QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		return err
	}
	defer rows.Close()
	var dumps []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		dumps = append(dumps, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var errs []error // of dumps that have ended meanwhile
	for _, id := range dumps {
		if err := s.Exec(ctx, fmt.Sprintf("KILL %d", id)); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(dumps) {
		return errors.Join(append(errs, missed("it has no dump open"))...)
	}
	return nil
}

// rotate begins a new binlog file. A reset keeps the files that there are, and must not miss one.
func (r *rig) rotate(_ context.Context, s strike) (fault, error) {
	return fault{whom: s.target, holds: []string{s.target}, strike: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patienceSource)
		defer cancel()
		return r.source(s.target).Exec(ctx, "FLUSH BINARY LOGS")
	}}, nil
}
