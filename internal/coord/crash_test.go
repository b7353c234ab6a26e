package coord

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
)

// TestPanicOfAFollower lets a look panic: it is logged with its stack, what was seen last
// holds on, and the next look is made.
func TestPanicOfAFollower(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	s := &Session{relist: time.Millisecond, life: ctx, cfg: Config{Logger: zerolog.New(&log)}}
	looks := 0
	look := func(context.Context, bool) (int, <-chan zk.Event, error) {
		if looks++; looks == 2 {
			panic("a payload")
		}
		return min(looks, 3), nil, nil
	}
	values := follow(ctx, s, "/tasks/orders", look, func(a, b int) bool { return a == b })
	if first, third := <-values, <-values; first != 1 || third != 3 {
		t.Errorf("seen %d and %d", first, third)
	}
	cancel()
	s.owned.Wait()
	if text := log.String(); !strings.Contains(text, "panic: a payload") || !strings.Contains(text, "TestPanicOfAFollower") || !strings.Contains(text, "/tasks/orders") {
		t.Errorf("logged %s", text)
	}
}
