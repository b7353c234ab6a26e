package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"binkeeper/zkpaths"
)

const (
	root   = "/backup"
	task   = "orders"
	first  = 101 // the session of worker 1
	second = 102 // of worker 2
	hand   = 999 // an operator's
)

// instances are the workers' places in the line, by their session.
var instances = map[int64]string{first: "server_1_0000000000", second: "server_2_0000000001"}

// story is a history in good order: worker 1 serves term 1, an operator destroys the checkpoint, and worker 2 serves
// term 2.
func story() []Change {
	var changes []Change
	add := func(c Change) {
		c.Zxid, c.At = int64(len(changes)+1), at
		changes = append(changes, c)
	}
	add(Change{Session: hand, Path: root + zkpaths.Checkpoint(task), Data: []byte(`{"format":1}`)})
	for n, session := range []int64{first, second} {
		add(Change{Session: session, Path: root + zkpaths.LiveWorker(fmt.Sprint(n+1)), Ephemeral: true, Data: []byte("{}")})
		add(Change{Session: session, Path: root + zkpaths.Member(task, instances[session]), Ephemeral: true, Data: []byte("{}")})
	}
	add(commit(first, 1, 0, "mysql-bin.000009", 100))
	add(commit(first, 1, 1, "mysql-bin.000009", 200))
	add(Change{Session: hand, Path: root + zkpaths.Checkpoint(task), Data: []byte("garbage")})
	add(Change{Session: hand, Path: root + zkpaths.Checkpoint(task), Deleted: true})
	add(commit(second, 2, 0, "mysql-bin.000009", 200))
	add(commit(second, 2, 1, "mysql-bin.000010", 50))
	return changes
}

// commit is a change of lastCommit by a worker.
func commit(session, term, number int64, file string, position int64) Change {
	path := root + zkpaths.Checkpoint(task)
	last := zkpaths.LastCommit{Term: term, Commit: number, Timeline: 1, File: file, Position: position, Instance: instances[session]}
	last.Format = zkpaths.Format
	data, err := zkpaths.Encode(path, &last)
	if err != nil {
		panic(err)
	}
	return Change{Session: session, Path: path, Data: data, Checks: []string{root + zkpaths.Member(task, instances[session])}}
}

func TestJudge(t *testing.T) {
	replace := func(nth int, by Change) func([]Change) []Change { // of story's changes, from the end
		return func(changes []Change) []Change {
			changes[len(changes)-nth] = by
			return changes
		}
	}
	tests := []struct {
		name   string
		damage func([]Change) []Change
		want   string // a part of the problem; empty means none
	}{
		{"in order", func(c []Change) []Change { return c }, ""},
		{"the term goes back", replace(1, commit(first, 1, 2, "mysql-bin.000010", 50)), "the term has gone back"},
		{"a commit is missing", replace(1, commit(second, 2, 2, "mysql-bin.000010", 50)), "a commit is missing"},
		{"a commit twice", replace(1, commit(second, 2, 0, "mysql-bin.000010", 50)), "a commit is missing, or one too many"},
		{"the position goes back", replace(1, commit(second, 2, 1, "mysql-bin.000009", 199)), "the position has gone back"},
		{"the file goes back", replace(1, commit(second, 2, 1, "mysql-bin.000008", 500)), "the position has gone back"},
		{"the position is lost", replace(1, commit(second, 2, 1, "", 0)), "the position is lost"},
		{"two commit in one term", replace(1, commit(first, 2, 1, "mysql-bin.000010", 50)), "another instance commits in the term"},
		{"another's instance", replace(1, func() Change { c := commit(second, 2, 1, "mysql-bin.000010", 50); c.Session = first; return c }()), "in a term of session"},
		{"unfenced", replace(1, func() Change { c := commit(second, 2, 1, "mysql-bin.000010", 50); c.Checks = nil; return c }()), "has checked []"},
		{"unreadable", replace(1, Change{Session: second, Path: root + zkpaths.Checkpoint(task), Data: []byte("{")}), "unreadable"},
		{"deleted by a worker", replace(1, Change{Session: second, Path: root + zkpaths.Checkpoint(task), Deleted: true}), "unreadable"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Judge(test.damage(story()), root, task)
			if test.want == "" {
				if len(got.Problems) > 0 || got.Terms != 2 || got.Commits != 4 || got.ByHand != 3 {
					t.Errorf("verdict %+v, want 2 terms, 4 commits, 3 changes by hand and no problem", got)
				}
				return
			}
			if !slices.ContainsFunc(got.Problems, func(problem string) bool { return strings.Contains(problem, test.want) }) {
				t.Errorf("problems %q, want %q", got.Problems, test.want)
			}
		})
	}
}

func TestJudgeReached(t *testing.T) {
	in := func(timeline int64, c Change) Change {
		c.Data = []byte(strings.Replace(string(c.Data), `"timeline":1`, fmt.Sprintf(`"timeline":%d`, timeline), 1))
		return c
	}
	changes := append(story(), // which ends in the second term, at mysql-bin.000010:50
		commit(second, 2, 2, "mysql-bin.000010", 70), commit(second, 2, 3, "mysql-bin.000011", 0),
		in(2, commit(second, 2, 4, "mysql-bin.000001", 0)), in(2, commit(second, 2, 5, "mysql-bin.000001", 30)),
		in(3, commit(second, 2, 6, "mysql-bin.000001", 0)),
		in(3, commit(hand, 2, 7, "mysql-bin.000009", 900)))
	got := Judge(changes, root, task)
	want := map[int64]Place{1: {"mysql-bin.000010", 70}, 2: {"mysql-bin.000001", 30}}
	if !maps.Equal(got.Reached, want) || len(got.Problems) > 0 {
		t.Errorf("reached %v, problems %q, want %v and none", got.Reached, got.Problems, want)
	}
}

func TestOutOfOrderAcrossTimelines(t *testing.T) {
	before := zkpaths.LastCommit{Term: 1, Timeline: 1, File: "mysql-bin.000009", Position: 100}
	now := zkpaths.LastCommit{Term: 2, Timeline: 2, File: "mysql-bin.000001", Position: 4}
	if why := OutOfOrder(before, now); why != "" {
		t.Errorf("a new timeline: %s", why)
	}
	if why := OutOfOrder(now, zkpaths.LastCommit{Term: 3, Timeline: 1, File: "mysql-bin.000010"}); why == "" {
		t.Error("the timeline may go back")
	}
}
