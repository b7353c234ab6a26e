package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
)

// segments reads the metadata of all that is stored for a task, in the order of the chain.
func segments(ctx context.Context, dir, task string) ([]archive.Meta, error) {
	objects, err := filepath.Glob(filepath.Join(dir, task, "????????", "*.*", "*.zst"))
	if err != nil {
		return nil, err
	}
	store, err := dirstore.Open(dir)
	if err != nil {
		return nil, err
	}
	metas := make([]archive.Meta, 0, len(objects))
	for _, object := range objects {
		name, err := filepath.Rel(dir, object)
		if err != nil {
			return nil, err
		}
		meta, _, err := archive.ReadMeta(ctx, store, name)
		if err != nil {
			return nil, err
		}
		metas = append(metas, meta)
	}
	slices.SortFunc(metas, func(a, b archive.Meta) int {
		return cmp.Or(cmp.Compare(a.Timeline, b.Timeline), cmp.Compare(a.File, b.File), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	return metas, nil
}

// judgeChain wants the terms to grow along the chain, each of one worker: what a replaced primary still wrote is on it
// only if it came before the first of its successor.
func judgeChain(metas []archive.Meta) (problems []string) {
	workers := map[int64]string{}
	var before archive.Meta
	for _, m := range metas {
		if m.Term < before.Term {
			problems = append(problems, fmt.Sprintf("%s:%d is of term %d, behind one of term %d", m.File, m.Start, m.Term, before.Term))
		}
		if who, ok := workers[m.Term]; ok && who != m.ServerID {
			problems = append(problems, fmt.Sprintf("%s:%d is of worker %s, in term %d of worker %s", m.File, m.Start, m.ServerID, m.Term, who))
		}
		workers[m.Term], before = m.ServerID, m
	}
	return problems
}
