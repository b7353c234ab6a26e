package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"binkeeper/zkpaths"
)

// A Verdict is what has become of a task's lastCommit.
type Verdict struct {
	Terms    int      // that were claimed
	Commits  int      // by workers, the claims included
	ByHand   int      // changes that no worker has made
	Problems []string // what is not in order
	// Reached is where the last commit of each timeline stands, by the timeline's number: what the archive holds at least.
	// A timeline without a committed byte is not in it.
	Reached map[int64]Place
}

// A Place is in a source's binlog, as a checkpoint names it.
type Place struct {
	File     string
	Position int64 // the offset in File of the first byte behind it; never 0
}

// Judge wants every change that a worker has made of a task's lastCommit to be in order: terms only grow, each is of
// one session and one instance, which that session has made and every commit has checked; commits are numbered without
// gaps; and the position never goes back. root stands in front of every path.
//
// What an operator wrote is skipped: whatever it was, what a worker writes next goes on from what the last one wrote.
// A session that has made no ephemeral node of a worker is an operator's.
func Judge(changes []Change, root, task string) Verdict {
	j := judge{Verdict: Verdict{Reached: map[int64]Place{}}, root: root, task: task, owners: map[string]int64{}, sessions: map[int64]int64{}}
	workers := workerSessions(changes, root)
	for _, c := range changes {
		if !c.Deleted {
			j.owners[c.Path] = c.Session
		}
		switch {
		case c.Path != root+zkpaths.Checkpoint(task):
		case workers[c.Session]:
			j.commit(c)
		default:
			j.ByHand++
		}
	}
	j.Terms = len(j.sessions)
	return j.Verdict
}

// workerSessions are those that have made the node of a live worker.
func workerSessions(changes []Change, root string) map[int64]bool {
	workers := map[int64]bool{}
	for _, c := range changes {
		if c.Ephemeral && strings.HasPrefix(c.Path, root+zkpaths.Workers+"/") {
			workers[c.Session] = true
		}
	}
	return workers
}

type judge struct {
	Verdict
	root, task string
	owners     map[string]int64 // sessions, by the path that they wrote last
	sessions   map[int64]int64  // by term
	before     zkpaths.LastCommit
}

// commit judges one change of lastCommit that a worker has made.
func (j *judge) commit(c Change) {
	var now zkpaths.LastCommit
	if err := zkpaths.Decode(c.Path, c.Data, &now); err != nil || c.Deleted {
		j.problem(c, "a worker has made lastCommit unreadable: %q (%v)", c.Data, err)
		return
	}
	j.Commits++
	if why := OutOfOrder(j.before, now); why != "" {
		j.problem(c, "%s\nbefore: %+v\nnow:    %+v", why, j.before, now)
	}
	instance := j.root + zkpaths.Member(j.task, now.Instance)
	if j.owners[instance] != c.Session || !slices.Contains(c.Checks, instance) {
		j.problem(c, "it is of session %#x, of instance %s of session %#x, and has checked %q", c.Session, instance, j.owners[instance], c.Checks)
	}
	if of, ok := j.sessions[now.Term]; ok && of != c.Session {
		j.problem(c, "it is of session %#x, in a term of session %#x", c.Session, of)
	}
	j.sessions[now.Term], j.before = c.Session, now
	if now.Position > 0 { // of a file that is only about to begin, nothing need be archived
		j.Reached[now.Timeline] = Place{now.File, now.Position}
	}
}

func (j *judge) problem(c Change, format string, args ...any) {
	j.Problems = append(j.Problems, fmt.Sprintf("%s, transaction %#x at %s: ", c.Path, c.Zxid, c.At.UTC().Format("15:04:05.000"))+fmt.Sprintf(format, args...))
}

// OutOfOrder says why the checkpoint now cannot follow before, or "".
func OutOfOrder(before, now zkpaths.LastCommit) string {
	sameTerm := now.Term == before.Term
	switch {
	case now.Term < before.Term:
		return "the term has gone back"
	case sameTerm && now.Commit != before.Commit+1, !sameTerm && now.Commit != 0:
		return "a commit is missing, or one too many"
	case sameTerm && now.Instance != before.Instance:
		return "another instance commits in the term"
	case now.Timeline < before.Timeline:
		return "the timeline has gone back"
	case before.File == "" || now.Timeline > before.Timeline:
		return ""
	case now.File == "":
		return "the position is lost"
	}
	was, is := fileNumber(before.File), fileNumber(now.File)
	if is < was || is == was && now.Position < before.Position {
		return "the position has gone back"
	}
	return ""
}

// fileNumber is the number of a binlog file, by its name; -1 for a name that has none.
func fileNumber(file string) int64 {
	n, err := strconv.ParseInt(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	if err != nil {
		return -1
	}
	return n
}
