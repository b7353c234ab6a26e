package coord

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/failure"
)

// A RefusedError says that ZooKeeper has not carried out a request, and may carry
// out the same one later.
type RefusedError struct {
	Answer string // the server's, in words
	hint   string
	passes bool // by itself: a request that can wait is sent again
}

// Error is the message, on one line.
func (e *RefusedError) Error() string { return "ZooKeeper refuses it: " + e.Answer }

// Kind is failure.Coordination.
func (e *RefusedError) Kind() failure.Kind { return failure.Coordination }

// Hint names the operator's next step.
func (e *RefusedError) Hint() string { return e.hint }

var (
	errQuota = &RefusedError{
		Answer: "a quota is exceeded",
		hint:   "look at the quota (zkCli.sh: listquota /tasks), and raise it with setquota or take it away with delquota",
	}
	errThrottled = &RefusedError{
		Answer: "the server throttles requests", passes: true,
		hint: "the ensemble has more to do than it can: look at its latencies and outstanding requests (echo mntr | nc HOST 2181)",
	}
	errMoved = &RefusedError{
		Answer: "the session has moved to another server", passes: true,
		hint: "it passes with the next connection; if it does not, look for a proxy between here and the ensemble that doubles connections",
	}
)

// refusals are the answers to one request that say nothing about the next one. The
// client knows two of them as a number in words only.
var refusals = map[string]*RefusedError{
	unknownAnswer(-125):        errQuota,
	unknownAnswer(-127):        errThrottled,
	zk.ErrSessionMoved.Error(): errMoved,
}

// unknownAnswer is what the client says of an answer that it does not know.
func unknownAnswer(code zk.ErrCode) string { return fmt.Sprintf("unknown error: %v", code) }

// answered is the client's error of a request, or the refusal that it is.
func answered(err error) error {
	if err == nil {
		return nil
	}
	if refusal, ok := refusals[err.Error()]; ok {
		return refusal
	}
	return err
}

// passing reports whether err is a refusal that passes by itself.
func passing(err error) bool {
	var refusal *RefusedError
	return errors.As(err, &refusal) && refusal.passes
}

// The pauses before a refused request is sent again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// A backoff is how one caller waits for a server that refuses. It says so once.
type backoff struct {
	session *Session
	pause   time.Duration
}

// wait pauses, longer each time. Its error is refusal, when ctx or the session ends
// first.
func (b *backoff) wait(ctx context.Context, refusal error) error {
	if b.pause == 0 {
		b.pause = firstPause
		b.session.cfg.Logger.Warn().Err(refusal).Str("hint", hintOf(refusal)).Msg("trying again, with growing pauses")
	} else {
		b.pause = min(2*b.pause, longestPause)
	}
	select {
	case <-time.After(jittered(b.pause)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", refusal, context.Cause(ctx))
	case <-b.session.Done():
		return b.session.Err()
	}
}

func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
