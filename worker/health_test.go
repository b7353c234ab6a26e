package worker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

func get(t *testing.T, w *Worker, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func blockedWorker(t *testing.T) *Worker {
	w := newMeteredWorker(t, "orders", "users", "zoo")
	w.meters.of("orders").claimed(zkpaths.Status{
		State: zkpaths.StateBlocked, Term: 3, File: "bin.000002", Position: 77, BehindBytes: 5, Reason: "purged", Hint: "take a new base backup",
		DurableTime: zkpaths.At(time.Date(2026, 11, 20, 10, 43, 1, 0, time.UTC)),
	})
	w.meters.of("users").become(roleStandby)
	return w
}

func TestReadyz(t *testing.T) {
	w := blockedWorker(t)
	tasks := "[ ]task orders: primary, blocked: purged\n[ ]task users: standby\n[ ]task zoo: not in the line\n"
	tests := []struct {
		name, path string
		ready      bool
		code       int
		body       string
	}{
		{"not ready", "/readyz", false, 503, "no ZooKeeper session yet\n"},
		{"not ready, verbose", "/readyz?verbose", false, 503, "[-]zookeeper: no ZooKeeper session yet\n" + tasks},
		{"ready", "/readyz", true, 200, "ok\n"},
		{"ready, verbose", "/readyz?verbose", true, 200, "[+]zookeeper ok\n" + tasks},
	}
	for _, test := range tests {
		if test.ready {
			w.setReady(nil)
		}
		if code, body := get(t, w, test.path); code != test.code || body != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.name, code, body, test.code, test.body)
		}
	}
}

func TestTasksOfTheAPI(t *testing.T) {
	code, body := get(t, blockedWorker(t), "/api/v1/tasks")
	var got struct {
		Format int
		Tasks  []map[string]any
	}
	if err := json.Unmarshal([]byte(body), &got); code != 200 || err != nil || got.Format != 1 || len(got.Tasks) != 3 {
		t.Fatalf("%d %s (%v)", code, body, err)
	}
	want := `{"id":"orders","role":"primary","state":"blocked","term":3,"file":"bin.000002","position":77,"behind_bytes":5,` +
		`"durable_time":"2026-11-20T10:43:01Z","reason":"purged","hint":"take a new base backup"}`
	if !strings.Contains(body, want) {
		t.Errorf("%s\nlacks %s", body, want)
	}
	for _, task := range got.Tasks {
		if len(task) != 10 {
			t.Errorf("task %v has %d keys, want all 10", task["id"], len(task))
		}
	}
	if _, body := get(t, newMeteredWorker(t), "/api/v1/tasks"); body != `{"format":1,"tasks":[]}`+"\n" {
		t.Errorf("without tasks: %s", body)
	}
}

func TestAddresses(t *testing.T) {
	w := newMeteredWorker(t, "orders")
	tests := []struct {
		path string
		code int
		body string // a part of it
	}{
		{"/livez", 200, "ok"},
		{"/version", 200, `"version":"v1.2.3"`},
		{"/metrics", 200, `binkeeper_build_info{goversion="go1.`},
		{"/metrics", 200, "process_start_time_seconds"},
		{"/debug/pprof/", 404, ""},
	}
	for _, test := range tests {
		if code, body := get(t, w, test.path); code != test.code || !strings.Contains(body, test.body) {
			t.Errorf("%s: %d %.200q, want %d with %q", test.path, code, body, test.code, test.body)
		}
	}
}
