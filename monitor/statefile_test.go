package monitor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if got, err := readState(path); err != nil || len(got.Firing) != 0 {
		t.Fatalf("no file: got %+v, %v", got, err)
	}
	down := anAlert(taskDown)
	want := savedState{Firing: []entry{{down, time.Now().UTC().Round(0)}}, Pending: map[string][]*Alert{"webhook": {down.resolved(time.Now())}}}
	for range 2 {
		if err := want.write(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readState(path)
	if err != nil {
		t.Fatal(err)
	}
	want.Format = stateFormat
	if g, w := encoded(t, got), encoded(t, want); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".tmp-*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A newer file is not overwritten; a broken one must not keep anybody from watching.
func TestStateFilesThatCannotBeRead(t *testing.T) {
	tests := []struct {
		content string
		hint    string // of New's error; "" when it goes on without
	}{
		{`{"format":2}`, "upgrade"},
		{``, ""},
		{`{"format":1,"firing":[{}]}`, ""},
		{`nonsense`, ""},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Config{StateFile: path, Logger: zerolog.Nop()})
		if test.hint == "" && err != nil || test.hint != "" && !strings.Contains(hintOf(err), test.hint) {
			t.Errorf("%q: got %v, hint %q, want %q", test.content, err, hintOf(err), test.hint)
		}
		after, readErr := os.ReadFile(path)
		if kept := string(after) == test.content; readErr != nil || kept != (test.hint != "") {
			t.Errorf("%q: kept: %t, %v", test.content, kept, readErr)
		}
	}
	broken := (*StateError)(nil)
	if _, err := New(Config{StateFile: filepath.Join(t.TempDir(), "none", "state.json"), Logger: zerolog.Nop()}); !errors.As(err, &broken) {
		t.Errorf("no folder: got %v", err)
	}
}

// What a channel had not taken is delivered by the next process.
func TestPendingAlertsAreDeliveredLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	cfg := Config{StateFile: path, Webhooks: []string{"http://h/"}, Logger: zerolog.Nop()}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.channels[1].offer(anAlert(taskDown).resolved(time.Now()))
	if err := m.save(); err != nil {
		t.Fatal(err)
	}
	again, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range again.channels[1].pending() {
		names = append(names, a.Name()+" "+a.Status)
	}
	if want := []string{taskDown + " resolved"}; !slices.Equal(names, want) || again.channels[0].length() != 0 {
		t.Errorf("got %q, want %q", names, want)
	}
}

func FuzzDecodeState(f *testing.F) {
	for _, seed := range []string{
		`{"format":1,"saved_at":"2026-11-20T10:43:01Z","firing":[{"alert":{"status":"firing","labels":{"alertname":"BinkeeperTaskDown","task":"orders"},"startsAt":"2026-11-20T10:43:01Z"},"said":"2026-11-20T10:43:01Z"}],"pending":{"webhook":[{"status":"resolved","labels":{"alertname":"a"}}]}}`,
		`{"format":1,"pending":{"log":[null]}}`, `{"format":7}`, `{"format":"1"}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data)
		if err != nil {
			return
		}
		l := ledger{}
		for _, e := range s.Firing {
			l[keyOf(e.Alert)] = e
		}
		l.due(time.Now(), time.Hour)
		if _, err := json.Marshal(savedState{Format: stateFormat, Firing: l.entries(), Pending: s.Pending}); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
