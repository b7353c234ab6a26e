//go:build faults

//faults:worker

package worker_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// A scraper is a worker's HTTP server, as Prometheus sees it.
type scraper struct {
	t      *testing.T
	server *httptest.Server
}

// startScraped starts a worker, and its HTTP server.
func (f *fleet) startScraped(serverID string) *scraper {
	f.t.Helper()
	s := &scraper{t: f.t}
	f.startWith(serverID, stores.Open, func(w *worker.Worker) { s.server = httptest.NewServer(w.Handler()) })
	f.t.Cleanup(s.server.Close)
	return s
}

func (s *scraper) get(path string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v: %s", path, resp.Status, err, body)
	}
	return string(body)
}

// find returns one series of a page.
func (s *scraper) find(page, series string) (float64, bool) {
	s.t.Helper()
	for line := range strings.Lines(page) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return v, true
		}
	}
	return 0, false
}

// value is find for a series that has to be there.
func (s *scraper) value(page, series string) float64 {
	s.t.Helper()
	v, ok := s.find(page, series)
	if !ok {
		s.t.Fatalf("there is no series %s", series)
	}
	return v
}

// await scrapes until a series is as wanted, and returns the page.
func (s *scraper) await(series string, wanted func(float64) bool) string {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		page := s.get("/metrics")
		v, ok := s.find(page, series)
		if ok && wanted(v) {
			return page
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s stays at %v (there: %t)", series, v, ok)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func is(want float64) func(float64) bool     { return func(v float64) bool { return v == want } }
func above(bound float64) func(float64) bool { return func(v float64) bool { return v > bound } }

func TestMetricsOfAWorkerThatArchives(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	first := f.startScraped("1")
	f.await("orders", "the first as primary", 20*time.Second, primary("1"))
	const task = `{task="orders"}`
	first.await("binkeeper_source_connected"+task, is(1))
	f.write(20)
	second := f.startScraped("2")
	second.await(`binkeeper_task_role{role="standby",task="orders"}`, is(1))

	page := first.await("binkeeper_durable_timestamp_seconds"+task, above(float64(time.Now().Add(-time.Minute).Unix())))
	before := first.value(page, "binkeeper_durable_timestamp_seconds"+task)
	f.write(20)
	page = first.await("binkeeper_durable_timestamp_seconds"+task, above(before))
	// The source is idle from here on: heartbeats alone move it.
	before = first.value(page, "binkeeper_durable_timestamp_seconds"+task)
	page = first.await("binkeeper_durable_timestamp_seconds"+task, above(before+2))
	for series, wanted := range map[string]func(float64) bool{
		"binkeeper_zookeeper_connected": is(1), "binkeeper_takeovers_total" + task: is(1), "binkeeper_backlog_bytes" + task: is(0),
		`binkeeper_task_role{role="primary",task="orders"}`: is(1), `binkeeper_task_state{state="running",task="orders"}`: is(1),
		"binkeeper_received_events_total" + task: above(80), "binkeeper_segments_written_total" + task: above(0), "binkeeper_checkpoints_total" + task: above(0),
		`binkeeper_archive_bytes_total{kind="raw",task="orders"}`:                             is(first.value(page, "binkeeper_received_bytes_total"+task)),
		`binkeeper_archive_bytes_total{kind="stored",task="orders"}`:                          above(0),
		`binkeeper_storage_operations_total{operation="create",result="ok",store="file"}`:     above(0),
		`binkeeper_storage_operation_duration_seconds_count{operation="create",store="file"}`: above(0),
		`binkeeper_errors_total{reason="source-away",task="orders"}`:                          is(0), "binkeeper_task_term" + task: above(0),
	} {
		if v := first.value(page, series); !wanted(v) {
			t.Errorf("%s is %v", series, v)
		}
	}

	f.checkByPromtool(page)
	f.checkByPromtool(second.get("/metrics"))
	for _, path := range []string{"/metrics", "/api/v1/tasks", "/readyz?verbose", "/version"} {
		if strings.Contains(first.get(path), servers.Password) {
			t.Errorf("%s shows the password", path)
		}
	}
	var list struct {
		Tasks []struct{ ID, Role, State, File string }
	}
	if err := json.Unmarshal([]byte(first.get("/api/v1/tasks")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Tasks) != 1 || list.Tasks[0].Role != "primary" || list.Tasks[0].State != "running" || list.Tasks[0].File == "" {
		t.Errorf("/api/v1/tasks of the primary: %+v", list)
	}

	if err := f.src.Stop(); err != nil {
		t.Fatal(err)
	}
	page = first.await(`binkeeper_errors_total{reason="source-away",task="orders"}`, above(0))
	for series, wanted := range map[string]func(float64) bool{
		"binkeeper_source_connected" + task: is(0), `binkeeper_task_role{role="primary",task="orders"}`: is(1),
		`binkeeper_task_state{state="starting",task="orders"}`: is(1), "binkeeper_durable_timestamp_seconds" + task: above(before),
	} {
		if v := first.value(page, series); !wanted(v) {
			t.Errorf("without its source, %s is %v", series, v)
		}
	}

	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Removed })
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(first.get("/metrics"), `task="orders"`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the series of a removed task stay")
		}
	}
}

// checkByPromtool has Prometheus' own checker read a page.
func (f *fleet) checkByPromtool(page string) {
	f.t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("BINKEEPER_SERVERS"), "/opt/binkeeper"), "promtool", "promtool")
	if found, err := exec.LookPath("promtool"); err == nil {
		path = found
	}
	cmd := exec.CommandContext(f.t.Context(), path, "check", "metrics")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		f.t.Errorf("promtool check metrics: %v (scripts/install promtool installs it)\n%s", err, out)
	}
}
