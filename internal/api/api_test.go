package api

import (
	"errors"
	"net/http/httptest"
	"testing"
)

func TestReadyz(t *testing.T) {
	away := errors.New("no session")
	tests := []struct {
		path    string
		trouble error
		code    int
		body    string
	}{
		{"/readyz", nil, 200, "ok\n"},
		{"/readyz", away, 503, "no session\n"},
		{"/readyz?verbose", nil, 200, "[+]zookeeper ok\n[ ]task orders: standby\n"},
		{"/readyz?verbose", away, 503, "[-]zookeeper: no session\n[ ]task orders: standby\n"},
	}
	for _, tt := range tests {
		answer := httptest.NewRecorder()
		handler := Readyz(func() error { return tt.trouble }, func() []string { return []string{"task orders: standby"} })
		handler(answer, httptest.NewRequest("GET", tt.path, nil))
		if answer.Code != tt.code || answer.Body.String() != tt.body {
			t.Errorf("%s, %v: %d %q, want %d %q", tt.path, tt.trouble, answer.Code, answer.Body, tt.code, tt.body)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	answer := httptest.NewRecorder()
	WriteJSON(answer, map[string]int{"format": 1})
	if got := answer.Body.String(); got != "{\"format\":1}\n" || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %q, %v", got, answer.Header())
	}
}
