package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(binkeeper_[a-z_]+)` \\| ([a-z]+) \\|")
	metricName = regexp.MustCompile(`\bbinkeeper_\w+`)
)

// documented returns the metrics of docs/metrics.md, with the names of a
// histogram's series.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	metrics := map[string]bool{}
	for _, row := range metricRow.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		metrics[row[1]] = true
		if row[2] == "histogram" {
			metrics[row[1]+"_bucket"], metrics[row[1]+"_sum"], metrics[row[1]+"_count"] = true, true, true
		}
	}
	if len(metrics) < 20 {
		t.Fatalf("docs/metrics.md has only %d metrics", len(metrics))
	}
	return metrics
}

// checkMetrics wants each metric that an expression names to be documented, and
// some to be named.
func checkMetrics(t *testing.T, where, expr string) {
	t.Helper()
	metrics := documented(t)
	for _, name := range metricName.FindAllString(expr, -1) {
		if !metrics[name] {
			t.Errorf("%s: docs/metrics.md has no %s", where, name)
		}
	}
	if !strings.Contains(expr, "binkeeper") {
		t.Errorf("%s: %q is not about Binkeeper", where, expr)
	}
}

// A rule is one alert of the rules' file, which is written in a fixed form.
type rule struct{ name, expr, severity, summary, description, runbook string }

var ruleForm = regexp.MustCompile(`(?s)^(\w+)\n        expr: (.*?)\n(?:        for: \w+\n)?        labels:\n          severity: (\w+)\n` +
	`        annotations:\n          summary: "(.+?)"\n          description: "(.+?)"\n          runbook: (\S+)\n`)

func rules(t *testing.T) []rule {
	t.Helper()
	var found []rule
	parts := strings.Split(read(t, "prometheus/binkeeper.rules.yml"), "      - alert: ")
	for _, part := range parts[1:] {
		m := ruleForm.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("a rule is not in the form of the others:\n%s", part)
		}
		found = append(found, rule{m[1], m[2], m[3], m[4], m[5], m[6]})
	}
	return found
}

var (
	alertRow     = regexp.MustCompile(`(?m)^\| \[(\w+)\]\(#(\w+)\) \| (critical|warning|info) \| (M|P|M P) \|`)
	alertSection = regexp.MustCompile(`(?m)^## (\w+)$`)
)

func TestRulesAndTheirPageAgree(t *testing.T) {
	page := read(t, "../docs/alerts.md")
	severities, byRule := map[string]string{}, map[string]bool{}
	for _, row := range alertRow.FindAllStringSubmatch(page, -1) {
		if row[2] != strings.ToLower(row[1]) {
			t.Errorf("docs/alerts.md links %s to #%s", row[1], row[2])
		}
		severities[row[1]], byRule[row[1]] = row[3], strings.Contains(row[4], "P")
	}
	for _, r := range rules(t) {
		checkMetrics(t, r.name, r.expr)
		if severities[r.name] != r.severity || !byRule[r.name] {
			t.Errorf("%s is %s; docs/alerts.md has it as %q (by Prometheus: %t)", r.name, r.severity, severities[r.name], byRule[r.name])
		}
		if want := "docs/alerts.md#" + strings.ToLower(r.name); r.runbook != want {
			t.Errorf("%s: runbook %s, want %s", r.name, r.runbook, want)
		}
		delete(byRule, r.name)
	}
	for name, by := range byRule {
		if by {
			t.Errorf("docs/alerts.md has %s as one of the rules', which have none", name)
		}
	}
	var sections []string
	for _, m := range alertSection.FindAllStringSubmatch(page, -1) {
		sections = append(sections, m[1])
		_, section, _ := strings.Cut(page, "\n## "+m[1]+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		for _, part := range []string{"**Meaning.**", "**Impact.**", "**Check.**", "**Fix.**"} {
			if !strings.Contains(section, part) {
				t.Errorf("docs/alerts.md: %s has no %s", m[1], part)
			}
		}
	}
	slices.Sort(sections)
	if listed := slices.Sorted(maps.Keys(severities)); !slices.Equal(sections, listed) {
		t.Errorf("docs/alerts.md has sections %v, and lists %v", sections, listed)
	}
}

// The alerts of the contract, each with its severity, must be there.
func TestEveryAlertOfTheMonitorHasItsSection(t *testing.T) {
	page := read(t, "../docs/alerts.md")
	tests := []struct{ name, severity string }{
		{"BinkeeperTaskDown", "critical"}, {"BinkeeperTaskBlocked", "critical"}, {"BinkeeperStalled", "critical"},
		{"BinkeeperNotDurable", "warning"}, {"BinkeeperNoStandby", "warning"}, {"BinkeeperPurgeRisk", "critical"},
		{"BinkeeperFlapping", "warning"}, {"BinkeeperBlind", "warning"}, {"BinkeeperStatusChanged", "info"}, {"BinkeeperPrimaryChanged", "info"},
	}
	for _, test := range tests {
		row := "| [" + test.name + "](#" + strings.ToLower(test.name) + ") | " + test.severity + " | M"
		if !strings.Contains(page, row) {
			t.Errorf("docs/alerts.md has no row %s", row)
		}
	}
}

// Each rule must be tested to fire, and to stay quiet.
func TestEveryRuleIsTested(t *testing.T) {
	tests := strings.Join(strings.Fields(read(t, "prometheus/binkeeper.test.yml")), " ")
	checkMetrics(t, "binkeeper.test.yml", tests)
	for _, r := range rules(t) {
		if !strings.Contains(tests, "alertname: "+r.name+" exp_alerts: - exp_labels:") {
			t.Errorf("no test of %s wants it to fire", r.name)
		}
		if !strings.Contains(tests, "alertname: "+r.name+"}") {
			t.Errorf("no test of %s wants it to stay quiet", r.name)
		}
	}
}

type dashboard struct {
	UID        string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID                 int
		Title, Description string
		Datasource         struct{ UID string }
		GridPos            struct{ X, Y, W, H int }
		FieldConfig        struct {
			Defaults struct{ Unit string }
		}
		Targets []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/binkeeper.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if list := d.Templating.List; len(list) != 2 || list[0].Name != "datasource" || list[0].Type != "datasource" || list[1].Name != "task" {
		t.Fatalf("variables %+v, want datasource and task", list)
	}
	checkMetrics(t, "variable task", d.Templating.List[1].Definition)
	const source = "${datasource}"
	seen := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if seen[p.ID] || p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != source || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: lacks an id of its own, a title, a description, a unit, the variable data source or a target", p.ID, p.Title)
		}
		seen[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			checkMetrics(t, p.Title, target.Expr)
			if target.Datasource.UID != source {
				t.Errorf("%s: data source %q", p.Title, target.Datasource.UID)
			}
		}
	}
}

// What an operator looks for first must be on the dashboard.
func TestDashboardShowsWhatMatters(t *testing.T) {
	page := read(t, "grafana/binkeeper.json")
	for _, metric := range []string{
		"binkeeper_durable_timestamp_seconds", "binkeeper_backlog_bytes", "binkeeper_received_bytes_total", "binkeeper_takeovers_total",
		"binkeeper_archive_bytes_total", "binkeeper_errors_total", "binkeeper_storage_operation_duration_seconds_bucket",
	} {
		if !strings.Contains(page, metric) {
			t.Errorf("no panel shows %s", metric)
		}
	}
}
