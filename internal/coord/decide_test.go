package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

func TestAncestors(t *testing.T) {
	for root, want := range map[string][]string{"": nil, "/a": {"/a"}, "/a/bc/d": {"/a", "/a/bc", "/a/bc/d"}} {
		if got := ancestors(root); !slices.Equal(got, want) {
			t.Errorf("ancestors(%q) = %q, want %q", root, got, want)
		}
	}
}

func TestStoppedBy(t *testing.T) {
	gone := zkpaths.Place{Name: "server_1_0000000000", ServerID: "1"}
	here := zkpaths.Place{Name: "server_2_0000000001", ServerID: "2", Seq: 1}
	now := time.Now()
	running := zkpaths.NewStatus(now).Say(zkpaths.StateRunning, gone, 4, now, "", "", "")
	stopped := running.Say(zkpaths.StateStopped, gone, 4, now, "", "", "")
	tests := []struct {
		name   string
		status zkpaths.Status
		line   []zkpaths.Place
		want   bool
	}{
		{"vanished", running, []zkpaths.Place{here}, true},
		{"vanished, nobody", running, nil, true},
		{"present", running, []zkpaths.Place{gone, here}, false},
		{"stopped already", stopped, []zkpaths.Place{here}, false},
		{"nobody spoke yet", zkpaths.NewStatus(now), []zkpaths.Place{here}, false},
	}
	for _, test := range tests {
		got, vanished := stoppedBy(test.status, test.line, now)
		if vanished != test.want {
			t.Errorf("%s: vanished %v, want %v", test.name, vanished, test.want)
		}
		if vanished && (got.State != zkpaths.StateStopped || got.Instance != gone.Name || got.Term != 4 || got.Reason == "") {
			t.Errorf("%s: status %+v", test.name, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	other := errors.New("other")
	tests := []struct{ err, want error }{
		{nil, nil},
		{zk.ErrNoNode, ErrFenced},
		{&failedOp{1, zk.ErrBadVersion}, ErrFenced},
		{ErrExpired, ErrFenced},
		{ErrSessionChanged, ErrFenced},
		{ErrClosed, ErrFenced},
		{fmt.Errorf("%w: %w", errUnknown, zk.ErrConnectionClosed), ErrDisconnected},
		{ErrDisconnected, ErrDisconnected},
		{zk.ErrNoAuth, zk.ErrNoAuth}, {&failedOp{1, zk.ErrNoAuth}, zk.ErrNoAuth},
		{other, other},
	}
	for _, test := range tests {
		got := verdict(test.err)
		if !errors.Is(got, test.want) {
			t.Errorf("verdict(%v) = %v, want %v", test.err, got, test.want)
		}
		if errors.Is(got, ErrFenced) != (test.want == ErrFenced) {
			t.Errorf("verdict(%v) = %v fences", test.err, got)
		}
	}
}

func TestCulprit(t *testing.T) {
	notReached := errors.New("unknown error: -2")
	tests := []struct {
		replies []zk.MultiResponse
		want    int
	}{
		{nil, -1},
		{[]zk.MultiResponse{{}, {Error: zk.ErrNoNode}, {Error: notReached}}, 1},
		{[]zk.MultiResponse{{Error: zk.ErrBadVersion}, {Error: notReached}}, 0},
		{[]zk.MultiResponse{{Error: notReached}, {Error: zk.ErrNodeExists}}, 1},
	}
	for _, test := range tests {
		if got := culprit(test.replies); got != test.want {
			t.Errorf("culprit(%v) = %d, want %d", test.replies, got, test.want)
		}
	}
}

func TestTaskIDs(t *testing.T) {
	ids, foreign := taskIDs([]string{"b", "_x", "a", "c d"})
	if want := []string{"a", "b"}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
	if want := []string{"_x", "c d"}; !slices.Equal(foreign, want) {
		t.Errorf("foreign %q, want %q", foreign, want)
	}
}

func TestReplaceKeepsTheNewest(t *testing.T) {
	values := make(chan int, 1)
	for i := range 3 {
		replace(values, i)
	}
	if got := <-values; got != 2 || len(values) != 0 {
		t.Errorf("got %d and %d more, want 2 alone", got, len(values))
	}
}

// A write that was given up may still be sent: none may follow before that is
// out of the question. The session here has no client: a request would panic.
func TestWritesWaitForTheOneBefore(t *testing.T) {
	s := &Session{connected: true, life: t.Context()}
	i := s.newInstance("orders", zkpaths.Place{Name: "server_1_0000000000"})
	i.let = make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := i.write(ctx); !errors.Is(err, ErrDisconnected) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write: %v, want ErrDisconnected by the deadline", err)
	}
	i.turn <- struct{}{}
	if err := i.enter(ctx); !errors.Is(err, ErrDisconnected) {
		t.Errorf("enter out of turn: %v, want ErrDisconnected", err)
	}
}
