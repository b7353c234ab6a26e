package taskspec

import (
	"strings"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

func TestCheck(t *testing.T) {
	good := zkpaths.Spec{
		Source: "mysql://u@h", PasswordRef: "env:X", Archive: "/x", Start: "mysql-bin.000042", Desired: zkpaths.Running, SegmentSize: 1 << 20,
		FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second), TaskUID: "uid", ReplicaServerID: 7,
	}
	if err := Check(good); err != nil {
		t.Errorf("a good spec: %v", err)
	}
	tests := []struct {
		name   string
		change func(*zkpaths.Spec)
		values bool // an operator gives it
		want   string
	}{
		{"source", func(s *zkpaths.Spec) { s.Source = "http://h" }, true, "source"},
		{"password reference", func(s *zkpaths.Spec) { s.PasswordRef = "hunter2" }, true, "password reference"},
		{"archive", func(s *zkpaths.Spec) { s.Archive = "relative/path" }, true, "archive URL"},
		{"start", func(s *zkpaths.Spec) { s.Start = "a/b" }, true, `start "a/b"`},
		{"segment size", func(s *zkpaths.Spec) { s.SegmentSize = 1 }, true, "segment_size 1"},
		{"task uid", func(s *zkpaths.Spec) { s.TaskUID = "" }, false, "task_uid"},
		{"replica server id", func(s *zkpaths.Spec) { s.ReplicaServerID = 0 }, false, "replica_server_id"},
	}
	for _, tt := range tests {
		s := good
		tt.change(&s)
		if err := Check(s); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
		if err := CheckValues(s); (err != nil) != tt.values {
			t.Errorf("%s of the values: %v", tt.name, err)
		}
	}
}
