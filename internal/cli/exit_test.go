package cli

import (
	"errors"
	"fmt"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

func TestErrorCode(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, OK},
		{errors.New("anything"), Failed},
		{Usage(nil), OK},
		{Usagef("bad"), BadUsage},
		{secret.Check("hunter2"), BadUsage},
		{&secret.Error{}, NoSource},
		{stores.CheckURL("s3://bucket"), BadUsage},
		{coord.ErrNoTask, NotFound},
		{coord.ErrTaskExists, Conflict},
		{&coord.InUseError{}, Conflict},
		{&coord.TakenError{}, Conflict},
		{&coord.UnreachableError{Cause: errors.New("refused")}, NoZooKeeper},
		{coord.ErrDisconnected, NoZooKeeper},
		{coord.ErrExpired, NoZooKeeper},
		{&zkpaths.UnreadableError{}, Failed},
		{&zkpaths.NewerFormatError{}, Failed},
		{&archive.NotEmptyError{}, Conflict},
		{&archive.ConflictError{}, Conflict},
		{&archive.MismatchError{}, Mismatch},
		{&archive.BrokenError{}, Mismatch},
		{&archive.HoleError{}, Gap},
		{archive.ErrNoTimeline, Gap},
		{&archive.StoreError{Err: errors.New("full")}, NoStore},
		{&archive.NewerFormatError{}, Failed},
		{&source.DeniedError{}, NoSource},
		{&source.UnfitError{}, NoSource},
		{source.ErrUnreachable, NoSource},
		{source.ErrFileNotFound, Gap},
		{Fail(TimedOut, "", "x: %w", Usagef("y")), TimedOut},
	}
	for _, tt := range tests {
		if got := ErrorCode(tt.err); got != tt.want {
			t.Errorf("ErrorCode(%T %v) = %d, want %d", tt.err, tt.err, got, tt.want)
		}
		if tt.err == nil {
			continue
		}
		if got := ErrorCode(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
			t.Errorf("ErrorCode(wrapped %T) = %d, want %d", tt.err, got, tt.want)
		}
	}
}
