package monitor

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
)

// watching is a monitor that sees a task without workers, whose alert fires, and
// another one.
func watching(t *testing.T, cfg Config) *Monitor {
	t.Helper()
	cfg.Logger, cfg.Version = zerolog.Nop(), "v1.2.3"
	cfg.Limits, cfg.RepeatInterval = Limits{DurableMaxAge: time.Hour, StallAfter: time.Hour}, time.Hour
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, tasks: map[string]*coord.TaskView{}, monitor: m, began: time.Now(), now: time.Now()}
	p.run("opened 10s\nlist invoices orders\nsee orders line=\nsee invoices line=1,2 by=1 state=starting>running term=1 behind=7\nswept\n")
	p.now = p.now.Add(20 * time.Second)
	p.run("swept\n")
	(&update{m, p.now}).tick()
	return m
}

func get(t *testing.T, m *Monitor, method, path string) (int, string) {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer.Code, answer.Body.String()
}

func TestHandler(t *testing.T) {
	m := watching(t, Config{})
	blank, err := New(Config{Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		monitor      *Monitor
		method, path string
		code         int
		want         string // a part
	}{
		{m, "GET", "/livez", 200, "ok\n"},
		{m, "GET", "/readyz", 200, "ok\n"},
		{m, "GET", "/readyz?verbose", 200, "[+]zookeeper ok\n[ ]channel log: "},
		{blank, "GET", "/livez", 200, "ok\n"},
		{blank, "GET", "/readyz", 503, "ZooKeeper cannot be read: no session yet\n"},
		{blank, "GET", "/api/v1/tasks", 200, `{"format":1,"tasks":[]}`},
		{blank, "GET", "/api/v1/alerts", 200, `{"format":1,"alerts":[]}`},
		{m, "GET", "/version", 200, `{"version":"v1.2.3"}`},
		{m, "GET", "/api/v1/tasks", 200, `{"format":1,"tasks":[{"id":"invoices","state":"running","desired":"running","primary":"1","standbys":["2"],"source":"","archive":"","durable_time":null,"behind_bytes":7,"timeline":0,"file":"","position":0,"term":0,"reason":"","hint":""},{"id":"orders"`},
		{m, "GET", "/api/v1/alerts", 200, `"alertname":"BinkeeperTaskDown","severity":"critical","task":"orders"`},
		{m, "GET", "/api/v1/alerts/test", 405, ""},
		{m, "GET", "/metrics", 200, "binkeeper_task_instances{task=\"invoices\"} 2\n"},
		{m, "GET", "/metrics", 200, "binkeeper_alerts_active{alertname=\"BinkeeperTaskDown\",severity=\"critical\"} 1\n"},
		{m, "GET", "/metrics", 200, "binkeeper_tasks{state=\"running\"} 1\n"},
		{m, "GET", "/metrics", 200, "binkeeper_zookeeper_connected 1\n"},
		{blank, "GET", "/metrics", 200, "binkeeper_zookeeper_connected 0\n"},
		{blank, "GET", "/metrics", 200, "binkeeper_monitor_last_scan_timestamp_seconds 0\n"},
	}
	for _, test := range tests {
		code, body := get(t, test.monitor, test.method, test.path)
		if code != test.code || !strings.Contains(body, test.want) {
			t.Errorf("%s: got %d %s\nwant %d %s", test.path, code, body, test.code, test.want)
		}
	}
}

func TestLivezOfALoopThatStands(t *testing.T) {
	m := watching(t, Config{})
	m.ticked.Store(time.Now().Add(-time.Minute).UnixNano())
	if code, body := get(t, m, "GET", "/livez"); code != 503 || !strings.Contains(body, "1m0s") {
		t.Errorf("got %d %s", code, body)
	}
}

// A test goes through every channel, and says which have failed, without secrets.
func TestTestOfTheChannels(t *testing.T) {
	var got []string
	good := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m webhookMessage
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got = append(got, m.Alerts[0].Name()+" "+m.Status)
	}))
	defer good.Close()
	bad := httptest.NewServer(http.NotFoundHandler())
	defer bad.Close()
	m := watching(t, Config{Webhooks: []string{good.URL, bad.URL + "/secret"}})
	_, body := get(t, m, "POST", "/api/v1/alerts/test")
	want := `{"format":1,"channels":[{"channel":"log","ok":true,"error":""},{"channel":"webhook","ok":true,"error":""},` +
		`{"channel":"webhook-2","ok":false,"error":"POST ` + strings.TrimPrefix(bad.URL, "http://") + `: 404 Not Found"}]}`
	if strings.TrimSpace(body) != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	if want := []string{testAlert + " firing", testAlert + " resolved"}; !slices.Equal(got, want) {
		t.Errorf("it got %q, want %q", got, want)
	}
}

var monitorRow = regexp.MustCompile("(?m)^\\| `(binkeeper_[a-z_]+)` \\| ([a-z]+) \\|(.*?)\\|")

func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Monitor\n")
	if !found {
		t.Fatal("docs/metrics.md has no section Monitor")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, row := range monitorRow.FindAllStringSubmatch(section, -1) {
		documented[row[1]] = row[2] + " " + strings.TrimSpace(strings.NewReplacer("`", "", ",", "").Replace(row[3]))
	}
	families, err := watching(t, Config{}).meters.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "binkeeper_") {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		if slices.Equal(labels, []string{"goversion", "version"}) {
			slices.Reverse(labels)
		}
		shown[family.GetName()] = strings.ToLower(family.GetType().String()) + " " + strings.Join(labels, " ")
	}
	if !maps.Equal(documented, shown) {
		t.Errorf("documented\n%v\nshown\n%v", documented, shown)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}
