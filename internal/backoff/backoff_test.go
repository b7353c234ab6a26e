package backoff

import (
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 6: 8 * time.Second, 7: 15 * time.Second, 1 << 40: 15 * time.Second} {
		if got := Delay(n); got != want {
			t.Errorf("before retry %d: %s, want %s", n, got, want)
		}
	}
}
