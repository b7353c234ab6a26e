package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

type hinted struct{ hint string }

func (hinted) Error() string  { return "hinted" }
func (h hinted) Hint() string { return h.hint }

func TestPrint(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("no such thing"), "binkeeper: no such thing\n"},
		{"a server's lines stay one", errors.New("said:\none\r\n\ntwo"), "binkeeper: said:; one; two\n"},
		{"hint", hinted{"do this"}, "binkeeper: hinted\nhint: do this\n"},
		{"wrapped hint", fmt.Errorf("open: %w", hinted{"do this"}), "binkeeper: open: hinted\nhint: do this\n"},
		{"the outer hint wins", Fail(1, "outer", "x: %w", hinted{"inner"}), "binkeeper: x: hinted\nhint: outer\n"},
		{"an empty hint is none", Fail(1, "", "x: %w", hinted{"inner"}), "binkeeper: x: hinted\nhint: inner\n"},
		{"a usage error's cause knows better", &UsageError{hinted{"inner"}, "see help"}, "binkeeper: hinted\nhint: inner\n"},
		{"joined", errors.Join(errors.New("one"), hinted{"two"}), "binkeeper: one; hinted\nhint: two\n"},
	}
	for _, tt := range tests {
		var got bytes.Buffer
		Print(&got, "binkeeper", tt.err)
		if got.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got.String(), tt.want)
		}
	}
}

func TestNewLogger(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger("", &out)
	log.Warn().Err(errors.New("boom")).Dur("retry_in", 1500*time.Millisecond).Msg("term failed")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object a line: %v: %s", err, &out)
	}
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(line["time"])); err != nil || at.Location() != time.UTC {
		t.Errorf("time %v, want RFC 3339 in UTC (%v)", line["time"], err)
	}
	if line["level"] != "warn" || line["err"] != "boom" || line["retry_in"] != 1.5 || line["message"] != "term failed" {
		t.Errorf("got %s", &out)
	}
	out.Reset()
	console := NewLogger(LogConsole, &out)
	console.Info().Msg("ready")
	if json.Valid(out.Bytes()) || !bytes.Contains(out.Bytes(), []byte("ready")) || bytes.ContainsRune(out.Bytes(), 0x1b) {
		t.Errorf("console form, not on a terminal: %q", &out)
	}
}
