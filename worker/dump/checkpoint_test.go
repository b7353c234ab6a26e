package dump

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/internal/backoff"
	"binkeeper/internal/coord"
)

// produce lets the source fill a segment every interval, n times.
func (f *attemptFixture) produce(n int, interval time.Duration) {
	for range n {
		f.source.Commit(segmentSize)
		time.Sleep(interval)
	}
}

// There is at most one commit in a checkpoint interval, and the last one covers all.
func TestOneCommitInAnInterval(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		time.Sleep(2 * checkpointInterval)
		before, _ := f.term.commits()
		f.produce(40, 250*time.Millisecond)
		at, _ := f.term.commits()
		at = at[len(before):]
		if want := int(10*time.Second/checkpointInterval) + 1; len(at) != want {
			f.Errorf("%d commits in 10 s, want %d", len(at), want)
		}
		for n := 1; n < len(at); n++ {
			if apart := at[n].Sub(at[n-1]); apart < checkpointInterval {
				f.Errorf("two commits are %s apart", apart)
			}
		}
		f.catchUp(d)
		time.Sleep(checkpointInterval + time.Millisecond)
		f.committedAll()
		quiet, _ := f.term.commits()
		time.Sleep(time.Hour)
		if at, _ := f.term.commits(); len(at) != len(quiet) {
			f.Errorf("%d commits while nothing was stored", len(at)-len(quiet))
		}
		f.stop(d)
	})
}

// While ZooKeeper is away the archive grows, and nothing asks again until the connection
// changes; then the checkpoint follows at once.
func TestCheckpointsWhileZooKeeperIsAway(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		time.Sleep(2 * checkpointInterval)
		committed := f.term.Last()
		f.term.away()
		_, before := f.term.commits()
		f.produce(10, 5*time.Second)
		if end := f.end(); end.Offset < committed.Position+10*segmentSize {
			f.Errorf("the archive has come from %d to %d only", committed.Position, end.Offset)
		}
		if _, tried := f.term.commits(); f.term.Last().Position != committed.Position || tried != before+1 {
			f.Errorf("%d commits were tried while ZooKeeper was away, want one", tried-before)
		}
		f.term.away() // it comes and goes again
		synctest.Wait()
		if _, tried := f.term.commits(); tried != before+2 {
			f.Errorf("%d commits were tried when the connection had changed, want one more", tried-before-1)
		}
		f.term.back()
		synctest.Wait()
		f.committedAll()
		f.produce(10, time.Second)
		time.Sleep(checkpointInterval + time.Millisecond)
		f.committedAll()
		f.stop(d)
		f.sameAsSource()
	})
}

// An attempt that is told to stop while ZooKeeper is away, or refuses, stores what it has read
// and leaves the checkpoint to the next primary's walk.
func TestStopWithoutACheckpoint(t *testing.T) {
	for name, err := range map[string]error{"away": coord.ErrDisconnected, "refused": &coord.RefusedError{Answer: "the quota is used up"}} {
		t.Run(name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				d := f.open()
				f.catchUp(d)
				time.Sleep(2 * checkpointInterval)
				committed := f.term.Last()
				f.term.refuse(err)
				f.source.Commit(100)
				synctest.Wait()
				f.stop(d)
				f.sameAsSource()
				if f.term.Last().Position != committed.Position {
					f.Errorf("the checkpoint has moved to %+v", f.term.Last())
				}
				f.term.back()
				f.stop(f.open())
				f.committedAll()
			})
		})
	}
}

// Where ZooKeeper refuses commits they are tried again with growing pauses, no more often
// than once in a checkpoint interval. It is said once.
func TestRefusedCheckpoints(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		time.Sleep(2 * checkpointInterval)
		f.term.refuse(&coord.RefusedError{Answer: "the quota is used up"})
		_, before := f.term.commits()
		began, want := time.Duration(0), 0
		for n := 1; began < time.Minute; n++ {
			began += max(checkpointInterval, backoff.Delay(n))
			want++
		}
		f.produce(12, 5*time.Second)
		if _, tried := f.term.commits(); tried-before != want {
			f.Errorf("%d commits were tried in a minute, want %d", tried-before, want)
		}
		if got := strings.Count(f.log.String(), "no checkpoint now"); got != 1 {
			f.Errorf("it was said %d times:\n%s", got, f.log)
		}
		f.term.back()
		time.Sleep(backoff.Delay(100))
		f.committedAll()
		f.stop(d)
		f.sameAsSource()
	})
}

// A checkpoint is committed only after what it covers is stored: the term of these tests
// fails where that is not so. Here a commit hangs while the archive grows, and the next one
// covers what has come meanwhile.
func TestCommitThatHangs(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		time.Sleep(2 * checkpointInterval)
		hold := make(chan struct{})
		f.term.mu.Lock()
		f.term.hold = hold
		f.term.mu.Unlock()
		_, before := f.term.commits()
		f.produce(10, time.Second)
		if _, tried := f.term.commits(); tried != before {
			f.Errorf("%d commits have come through", tried-before)
		}
		if end := f.end(); end.Offset < 10*segmentSize {
			f.Errorf("the archive has stopped at %d", end.Offset)
		}
		close(hold)
		synctest.Wait()
		if _, tried := f.term.commits(); tried != before+1 {
			f.Errorf("%d commits at once, want the one that hung", tried-before)
		}
		time.Sleep(checkpointInterval + time.Millisecond)
		f.committedAll()
		f.stop(d)
	})
}
