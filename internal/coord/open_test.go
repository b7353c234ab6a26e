package coord

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestOpenMakesTheRoot(t *testing.T) {
	checkLeaks(t)
	cfg := Config{Servers: []string{standalone}, Root: rootOf(t) + "/deep/er", Timeout: timeout, Logger: zerolog.Nop()}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	createTask(t, s, "orders")
	plain, err := Open(t.Context(), Config{Servers: []string{standalone}, Timeout: timeout, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.get(t.Context(), cfg.Root+"/tasks/orders/lastCommit"); err != nil {
		t.Errorf("lastCommit is not below the root: %v", err)
	}
	if s.ID() == 0 || s.ID() == plain.ID() || s.Timeout() != timeout || s.Disconnected() != 0 || s.Err() != nil {
		t.Errorf("session %#x, timeout %s, disconnected %s, %v", s.ID(), s.Timeout(), s.Disconnected(), s.Err())
	}
}

func TestTimeoutIsNegotiated(t *testing.T) {
	checkLeaks(t)
	s, err := Open(t.Context(), Config{Servers: []string{standalone}, Root: rootOf(t), Timeout: time.Hour, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := s.Timeout(), maxTimeout; got != want {
		t.Errorf("timeout %s, want the server's maximum %s", got, want)
	}
}

func TestOpenWaitsForTheServer(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t)
	p.Cut()
	time.AfterFunc(500*time.Millisecond, p.Heal)
	s := open(t, p.Addr())
	if s.ID() == 0 {
		t.Error("no session")
	}
}
