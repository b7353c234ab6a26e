package main

import (
	"errors"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// What every package's errors end the program with.
func TestExitCodes(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{secret.Check("hunter2"), cli.BadUsage},
		{&secret.Error{}, cli.NoSource},
		{stores.CheckURL("s3://bucket"), cli.BadUsage},
		{coord.ErrNoTask, cli.NotFound},
		{coord.ErrTaskExists, cli.Conflict},
		{&coord.InUseError{}, cli.Conflict},
		{&coord.TakenError{}, cli.Conflict},
		{&coord.UnreachableError{Cause: errors.New("refused")}, cli.NoZooKeeper},
		{coord.ErrDisconnected, cli.NoZooKeeper},
		{coord.ErrExpired, cli.NoZooKeeper},
		{&zkpaths.UnreadableError{}, cli.Failed},
		{&zkpaths.NewerFormatError{}, cli.Failed},
		{&archive.NotEmptyError{}, cli.Conflict},
		{&archive.ConflictError{}, cli.Conflict},
		{&archive.MismatchError{}, cli.Mismatch},
		{&archive.BrokenError{}, cli.Mismatch},
		{&archive.HoleError{}, cli.Gap},
		{archive.ErrNoTimeline, cli.Gap},
		{&archive.StoreError{Err: errors.New("full")}, cli.NoStore},
		{&archive.NewerFormatError{}, cli.Failed},
		{&source.DeniedError{}, cli.NoSource},
		{&source.UnfitError{}, cli.NoSource},
		{source.ErrUnreachable, cli.NoSource},
		{source.ErrFileNotFound, cli.Gap},
	}
	for _, tt := range tests {
		if got := cli.ErrorCode(tt.err); got != tt.want {
			t.Errorf("%T %v ends with %d, want %d", tt.err, tt.err, got, tt.want)
		}
	}
}
