package guard

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func indexOutOfRange(values []int) int { return values[7] }

func TestCall(t *testing.T) {
	plain := errors.New("plain")
	if err := Call(func() error { return plain }); err != plain {
		t.Errorf("an error: %v", err)
	}
	if err := Call(func() error { return nil }); err != nil {
		t.Errorf("no error: %v", err)
	}
	cleaned := false
	err := Call(func() error {
		defer func() { cleaned = true }()
		indexOutOfRange(nil)
		return nil
	})
	var panicked *PanicError
	if !errors.As(err, &panicked) || !strings.Contains(err.Error(), "index out of range [7]") || !strings.Contains(string(panicked.Stack), "indexOutOfRange") ||
		panicked.Hint() == "" || !cleaned {
		t.Errorf("a panic: %v, cleaned %v", err, cleaned)
	}
	if err := Call(func() error { panic(nil) }); !errors.As(err, &panicked) {
		t.Errorf("a panic of nil: %v", err)
	}
}

func TestGroup(t *testing.T) {
	g, ctx := WithContext(context.Background())
	ended := false
	g.Go(func() error { <-ctx.Done(); ended = true; return ctx.Err() })
	g.Go(func() error { panic("at last") })
	var panicked *PanicError
	if err := g.Wait(); !errors.As(err, &panicked) || panicked.Value != "at last" || !ended {
		t.Errorf("%v, the other ended %v", err, ended)
	}
}
