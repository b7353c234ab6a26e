package cli

import (
	"errors"
	"fmt"
	"testing"

	"binkeeper/internal/failure"
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
		{Fail(TimedOut, "", "x: %w", Usagef("y")), TimedOut},
		{failure.New(failure.Other, "x"), Failed},
		{failure.New(failure.Usage, "x"), BadUsage},
		{failure.New(failure.NotFound, "x"), NotFound},
		{failure.New(failure.Conflict, "x"), Conflict},
		{failure.New(failure.Mismatch, "x"), Mismatch},
		{failure.New(failure.Gap, "x"), Gap},
		{failure.New(failure.Coordination, "x"), NoZooKeeper},
		{failure.New(failure.Store, "x"), NoStore},
		{failure.New(failure.Source, "x"), NoSource},
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
