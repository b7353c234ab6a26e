// Package taskspec checks a task's spec: what commands write and what workers go by is judged by the same words. It looks
// at the text alone; whether the source, the secret and the store are there is for others to find out.
package taskspec

import (
	"errors"
	"fmt"

	"binkeeper/archive"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// Check returns the first value of a spec that no worker can work by, as an error that names it.
func Check(s zkpaths.Spec) error {
	if err := CheckValues(s); err != nil {
		return err
	}
	switch {
	case s.TaskUID == "":
		return errors.New("task_uid is empty: an archive could not be told from another task's")
	case s.ReplicaServerID == 0:
		return errors.New("replica_server_id is 0, by which a source takes nobody for a replica")
	}
	return nil
}

// CheckValues is Check without what a command draws at random: only what an operator gives.
func CheckValues(s zkpaths.Spec) error {
	if _, err := source.ParseURL(s.Source); err != nil {
		return err
	}
	if err := secret.Check(s.PasswordRef); err != nil {
		return err
	}
	if err := stores.CheckURL(s.Archive); err != nil {
		return err
	}
	if s.Start != zkpaths.StartEarliest && s.Start != zkpaths.StartCurrent && !archive.ValidFile(s.Start) {
		return fmt.Errorf("start %q: want %s, %s or the name of a whole binlog file, such as mysql-bin.000042", s.Start, zkpaths.StartEarliest, zkpaths.StartCurrent)
	}
	return s.Check()
}
