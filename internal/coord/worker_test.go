package coord

import (
	"testing"
	"time"

	"binkeeper/zkpaths"
)

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
