package coord

import (
	"errors"
	"sync"
	"testing"
	"time"

	"binkeeper/internal/faults"
	"binkeeper/zkpaths"
)

func TestClaimRace(t *testing.T) {
	checkLeaks(t)
	const instances, rounds = 8, 6
	var racers []*Instance
	for i := range instances {
		s := open(t, standalone)
		if i == 0 {
			createTask(t, s, "orders")
		}
		racers = append(racers, join(t, s, "orders", string(rune('a'+i))))
	}
	for round := int64(1); round <= rounds; round++ {
		last, version, err := racers[0].LastCommit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var race sync.WaitGroup
		terms, errs := make([]*Term, instances), make([]error, instances)
		for i, racer := range racers {
			race.Go(func() {
				terms[i], errs[i] = racer.Claim(t.Context(), last, version, zkpaths.NewStatus(time.Now()))
			})
		}
		race.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				if got := terms[i].Number(); got != round {
					t.Errorf("round %d gave term %d", round, got)
				}
			} else if !errors.Is(err, ErrLost) {
				t.Errorf("round %d: %v, want ErrLost", round, err)
			}
		}
		if winners != 1 {
			t.Errorf("round %d has %d winners", round, winners)
		}
	}
}

func TestClaimMakesWhatIsMissing(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	i := join(t, s, "orders", "1")
	raw(t, s).remove("/tasks/orders/lastCommit")
	raw(t, s).remove("/tasks/orders/status")
	_, version, err := i.LastCommit(t.Context())
	if !errors.Is(err, ErrNoCheckpoint) || version != -1 {
		t.Fatalf("version %d, %v, want ErrNoCheckpoint", version, err)
	}
	if status, err := i.Status(t.Context()); err != nil || status.State != zkpaths.StateStopped {
		t.Errorf("a missing status reads as %+v, %v", status, err)
	}
	term, err := i.Claim(t.Context(), at(5), version, zkpaths.NewStatus(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Commit(t.Context(), at(6)); err != nil {
		t.Error(err)
	}
	if view := look(t, s, "orders"); view.LastCommit.Position != 6 || view.StatusErr != nil {
		t.Errorf("%+v", view)
	}
	if _, err := i.Claim(t.Context(), at(5), -1, zkpaths.NewStatus(time.Now())); !errors.Is(err, ErrLost) {
		t.Errorf("claim of a missing lastCommit that is there: %v, want ErrLost", err)
	}
	raw(t, s).remove("/tasks/orders/status")
	if err := term.SetStatus(t.Context(), zkpaths.NewStatus(time.Now())); err != nil {
		t.Errorf("a missing status: %v", err)
	}
}

func TestClaimOfUnknownOutcome(t *testing.T) {
	for name, matches := range lostMulti {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			p := newProxy(t)
			s := open(t, p.Addr())
			createTask(t, s, "orders")
			i := join(t, s, "orders", "1")
			p.Script(faults.Nth(1, faults.Break, matches))
			term, err := claim(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			p.MustHaveStruck()
			if view := look(t, s, "orders"); view.LastCommitVersion != 1 || view.LastCommit.Term != 1 {
				t.Errorf("version %d, term %d, want one claim", view.LastCommitVersion, view.LastCommit.Term)
			}
			if err := term.Commit(t.Context(), at(1)); err != nil {
				t.Error(err)
			}
		})
	}
}
