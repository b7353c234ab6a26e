package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/cli"
)

func TestAsk(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "ZooKeeper cannot be read", http.StatusServiceUnavailable)
	})
	mux.Handle("/elsewhere", http.RedirectHandler("/readyz", http.StatusFound))
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	ended := httptest.NewServer(mux)
	ended.Close()

	tests := []struct {
		name    string
		url     string
		wantErr string // substring; "" for a healthy answer
		hint    bool
	}{
		{name: "ready", url: server.URL + "/readyz"},
		{name: "not ready", url: server.URL + "/away", wantErr: "503 Service Unavailable: ZooKeeper cannot be read"},
		{name: "a redirect is no answer", url: server.URL + "/elsewhere", wantErr: "302 Found"},
		{name: "no such page", url: server.URL + "/nowhere", wantErr: "404 Not Found"},
		{name: "silent", url: server.URL + "/silent", wantErr: "deadline exceeded", hint: true},
		{name: "nobody listens", url: ended.URL + "/readyz", wantErr: "connection refused", hint: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := time.Minute
			if tt.name == "silent" { // the others answer, however late on a busy machine
				limit = 200 * time.Millisecond
			}
			answer, err := ask(t.Context(), parse(t, tt.url), limit)
			if tt.wantErr == "" {
				if want := (pong{1, tt.url, 200, "ok"}); err != nil || answer != want {
					t.Errorf("ask(%s) = %+v, %v; want %+v", tt.url, answer, err, want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) || cli.ErrorCode(err) != cli.Failed {
				t.Fatalf("ask(%s): error %v, want exit 1 with %q", tt.url, err, tt.wantErr)
			}
			if got := cli.Hint(err) != ""; got != tt.hint {
				t.Errorf("ask(%s): hint %q, want one: %t", tt.url, cli.Hint(err), tt.hint)
			}
		})
	}
}

func TestAskInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(ctx, parse(t, "http://127.0.0.1:1/livez"), time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("ask: error %v, want %v", err, context.Canceled)
	}
}

func TestAskShowsNoPassword(t *testing.T) {
	_, err := ask(t.Context(), parse(t, "http://user:hunter2@127.0.0.1:1/livez"), time.Second)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("ask: error %v, want one without the password", err)
	}
}

func TestHealthURL(t *testing.T) {
	for text, want := range map[string]bool{
		"http://127.0.0.1:9108/readyz":   true,
		"https://worker.example/livez":   true,
		"127.0.0.1:9108":                 false,
		"/readyz":                        false,
		"http:///readyz":                 false,
		"ftp://127.0.0.1/":               false,
		"http://user:hunter2@[::1/livez": false,
		"":                               false,
	} {
		_, err := healthURL(text)
		if (err == nil) != want {
			t.Errorf("healthURL(%q): error %v, want none: %t", text, err, want)
		}
		if err != nil && (cli.ErrorCode(err) != cli.BadUsage || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("healthURL(%q): error %v, want a usage error without the password", text, err)
		}
	}
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
