//go:build integration

package main

import (
	"testing"

	"binkeeper/internal/history"
	"binkeeper/internal/servers"
)

// changes reads all that the ensemble has done.
func changes(t *testing.T, zk *servers.ZooKeeper) []history.Change {
	t.Helper()
	var dirs []string
	for _, server := range zk.Servers() {
		dirs = append(dirs, server.DataDir())
	}
	all, err := history.Read(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkHistory wants every change that a worker has made of lastCommit to be in order.
func (s *stage) checkHistory() {
	s.t.Helper()
	verdict := history.Judge(changes(s.t, s.zk), s.root, task)
	for _, problem := range verdict.Problems {
		s.t.Errorf("history: %s", problem)
	}
	if verdict.Commits == 0 {
		s.t.Error("history: nobody has ever committed")
	}
}
