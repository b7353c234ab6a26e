//go:build integration

package coord

import (
	"errors"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

func TestServerIDOfALiveOther(t *testing.T) {
	checkLeaks(t)
	holder, s := open(t, standalone), open(t, standalone)
	w := zkpaths.Worker{ServerID: "1", Host: "elsewhere", PID: 4711, Listen: "127.0.0.1:9108"}
	if err := holder.RegisterWorker(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	if err := holder.RegisterWorker(t.Context(), w, nil); err != nil {
		t.Errorf("registered twice by one session: %v", err)
	}
	began := time.Now()
	err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1", Host: "here"}, []int64{0, s.ID()})
	taken := (*TakenError)(nil)
	if !errors.As(err, &taken) || taken.Host != "elsewhere" || taken.PID != 4711 || taken.Hint() == "" {
		t.Errorf("got %v, want that process 4711 on elsewhere has it", err)
	}
	if took := time.Since(began); took < timeout+twoTicks || took > timeout+twoTicks+2*time.Second {
		t.Errorf("took %s, want a session timeout and two ticks", took)
	}
	if err := s.UpdateWorker(t.Context(), w); !errors.Is(err, ErrFenced) {
		t.Errorf("update of another's node: %v, want ErrFenced", err)
	}
	w.Listen = "127.0.0.1:1"
	if err := holder.UpdateWorker(t.Context(), w); err != nil {
		t.Error(err)
	}
	workers, err := s.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].Worker.Listen != w.Listen || workers[0].Session != holder.ID() || workers[0].Err != nil {
		t.Errorf("workers %+v, %v", workers, err)
	}
}

func TestServerIDOfADeadOther(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	dead, s := open(t, p.Addr()), open(t, standalone)
	if err := dead.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	began := time.Now()
	if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < timeout/3 || took > timeout+twoTicks {
		t.Errorf("took %s", took)
	}
}

func TestServerIDOfAnEarlierSession(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	earlier, s := open(t, p.Addr()), open(t, standalone)
	if err := earlier.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, nil); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	began := time.Now()
	if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, []int64{earlier.ID()}); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > timeout/3 {
		t.Errorf("took %s", took)
	}
	if workers, err := s.Workers(t.Context()); err != nil || len(workers) != 1 || workers[0].Session != s.ID() {
		t.Errorf("workers %+v, %v", workers, err)
	}
}

// A node that somebody has made by hand is nobody's session.
func TestServerIDOfANodeThatStays(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	raw(t, s).create("/workers/server_1", "x", zk.FlagPersistent)
	taken := (*TakenError)(nil)
	if err := s.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1"}, []int64{0}); !errors.As(err, &taken) || taken.Host != "" {
		t.Errorf("got %v, want that somebody has it", err)
	}
}
