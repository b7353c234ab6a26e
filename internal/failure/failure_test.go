package failure

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	away, away2 := New(Store, "away"), New(Store, "away")
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"none", nil, Other},
		{"without a kind", errors.New("boom"), Other},
		{"itself", away, Store},
		{"wrapped", fmt.Errorf("open: %w", away), Store},
		{"the outermost of two", &outer{New(Gap, "hole")}, Mismatch},
		{"the first of those joined", errors.Join(errors.New("boom"), New(Gap, "hole"), away), Gap},
	}
	for _, tt := range tests {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("%s: kind %d, want %d", tt.name, got, tt.want)
		}
	}
	if errors.Is(away, away2) {
		t.Error("two errors with the same words are one")
	}
}

type outer struct{ cause error }

func (e *outer) Error() string { return "outer" }
func (e *outer) Unwrap() error { return e.cause }
func (e *outer) Kind() Kind    { return Mismatch }
