// Package history tells what has happened in ZooKeeper, by the servers' own transaction logs: nothing is missing there,
// however briefly it stood. It is for tests and for scripts/chaos.
//
// [Read] gives every change of every znode, and [Judge] says whether a task's checkpoints are in the order that the
// coordination promises: terms only grow, one of them commits at a time, positions never go back. Starting servers, and
// what the archive holds, are left to others.
package history

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Change is one that ZooKeeper made to a znode.
type Change struct {
	Zxid      int64
	Session   int64 // whose request it was
	At        time.Time
	Path      string
	Deleted   bool
	Ephemeral bool     // it was created, and vanishes with its session
	Data      []byte   // nil when deleted
	Version   int32    // of the data
	Checks    []string // the paths that the same request has checked
}

// Read gives all changes that an ensemble has made, in their order. dataDirs are the data folders of all its servers,
// one if it is standalone; they may be running. A change counts when most servers have logged it: that is what makes it
// one. A server that was away may lack some, and one that died may hold a proposal that never came to anything.
func Read(dataDirs ...string) ([]Change, error) {
	logged := map[int64]int{} // servers, by transaction
	byZxid := map[int64][]Change{}
	for _, dir := range dataDirs {
		changes, err := readServer(dir)
		if err != nil {
			return nil, err
		}
		for zxid, changed := range changes {
			logged[zxid]++
			byZxid[zxid] = changed
		}
	}
	var all []Change
	for zxid, changed := range byZxid {
		if logged[zxid] > len(dataDirs)/2 {
			all = append(all, changed...)
		}
	}
	slices.SortStableFunc(all, func(a, b Change) int { return cmp.Compare(a.Zxid, b.Zxid) })
	return withoutForgotten(all), nil
}

// withoutForgotten leaves out changes that the ensemble has logged and forgotten again. An election may drop the newest
// proposals, even where every server has them in its log and keeps them there (seen with ZooKeeper 3.8.0, when a quorum
// was lost and came back); the znode's next change then has a version that it had before.
func withoutForgotten(changes []Change) []Change {
	forgotten := map[int]bool{}
	stand := map[string][]int{} // the changes of a znode since it was created, by path
	for n, c := range changes {
		since := stand[c.Path]
		for len(since) > 0 && !c.Deleted && c.Version > 0 && changes[since[len(since)-1]].Version >= c.Version {
			forgotten[since[len(since)-1]] = true
			since = since[:len(since)-1]
		}
		if c.Deleted || c.Version == 0 {
			since = nil
		}
		stand[c.Path] = append(since, n)
	}
	var kept []Change
	for n, c := range changes {
		if !forgotten[n] {
			kept = append(kept, c)
		}
	}
	return kept
}

// readServer gives the changes in one server's logs, by their transaction.
func readServer(dataDir string) (map[int64][]Change, error) {
	logs, err := filepath.Glob(filepath.Join(dataDir, "version-2", "log.*"))
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("no transaction log in %s", dataDir)
	}
	changes := map[int64][]Change{}
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found, err := parseLog(log)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for _, t := range found {
			changes[t.zxid] = t.changes
		}
	}
	return changes, nil
}
