package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/cli"
	"binkeeper/monitor"
)

func TestAlertTest(t *testing.T) {
	var posts int
	good := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts++ }))
	defer good.Close()
	bad := httptest.NewServer(http.NotFoundHandler())
	defer bad.Close()
	tests := []struct {
		name     string
		webhooks []string
		handler  http.Handler // instead of a monitor's
		wantErr  string
		hint     bool
	}{
		{name: "all channels deliver", webhooks: []string{good.URL}},
		{name: "one does not", webhooks: []string{bad.URL + "/secret", good.URL}, wantErr: "no delivery by webhook", hint: true},
		{name: "no monitor", handler: http.NotFoundHandler(), wantErr: "404 Not Found", hint: true},
		{name: "something else", handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), wantErr: "the answer is not a monitor's", hint: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := monitor.New(monitor.Config{Webhooks: test.webhooks, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			handler := test.handler
			if handler == nil {
				handler = m.Handler()
			}
			server := httptest.NewServer(handler)
			defer server.Close()
			result, err := testAlerts(t.Context(), strings.TrimPrefix(server.URL, "http://"), 5*time.Second)
			if err == nil {
				err = testVerdict(result)
			}
			if test.wantErr == "" {
				if err != nil || len(testRows(result)) != 1+len(result.Channels) || posts != 2 {
					t.Errorf("got %+v, %v, %d posts; want all ok, and 2 posts", result, err, posts)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.wantErr) || cli.ErrorCode(err) != cli.Failed || (cli.Hint(err) != "") != test.hint {
				t.Errorf("got %v (hint %q), want %q", err, cli.Hint(err), test.wantErr)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
	if _, err := testAlerts(t.Context(), "ftp://h", time.Second); cli.ErrorCode(err) != cli.BadUsage {
		t.Errorf("a bad address: %v", err)
	}
}
