//go:build integration

package deploy

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// promtool is where scripts/install puts it, or the one in PATH.
func promtool(t *testing.T) string {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("BINKEEPER_SERVERS"), "/opt/binkeeper"), "promtool", "promtool")
	if found, err := exec.LookPath("promtool"); err == nil {
		path = found
	}
	return path
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v (scripts/install installs what is missing)\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestRulesByPromtool(t *testing.T) {
	if out := run(t, "prometheus", promtool(t), "check", "rules", "binkeeper.rules.yml"); !strings.Contains(out, "SUCCESS") {
		t.Errorf("no success: %s", out)
	}
	if out := run(t, "prometheus", promtool(t), "test", "rules", "binkeeper.test.yml"); !strings.Contains(out, "SUCCESS") {
		t.Errorf("no success: %s", out)
	}
}

// Prometheus itself must be able to read what the dashboard asks.
func TestDashboardByPromtool(t *testing.T) {
	var b strings.Builder
	fmt.Fprint(&b, "groups:\n- name: dashboard\n  rules:\n")
	variables := strings.NewReplacer("$__rate_interval", "1m", "$task", ".*")
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			fmt.Fprintf(&b, "  - record: panel_%d_%d\n    expr: %s\n", p.ID, i, strconv.Quote(variables.Replace(target.Expr)))
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, ".", promtool(t), "check", "rules", file)
}

// The units must be what systemd understands, and stay as closed as they are.
func TestUnitsBySystemd(t *testing.T) {
	const bound = "15" // of 100, the most open: 1.5 is "OK"
	dir := t.TempDir()
	for unit, file := range map[string]string{
		"binkeeper-worker@main.service": "binkeeper-worker@.service", "binkeeper-monitor.service": "binkeeper-monitor.service",
	} {
		text := read(t, filepath.Join("systemd", file))
		name, _, _ := strings.Cut(strings.TrimPrefix(unit, "binkeeper-"), "@")
		start := "\nExecStart=/usr/lib/binkeeper/" + strings.TrimSuffix(name, ".service") + "\n"
		if strings.Count(text, start) != 1 {
			t.Fatalf("%s lacks %q", file, start)
		}
		path := filepath.Join(dir, unit)
		if err := os.WriteFile(path, []byte(strings.Replace(text, start, "\nExecStart=/bin/true\n", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := run(t, dir, "systemd-analyze", "verify", "--man=no", path); out != "" {
			t.Errorf("systemd-analyze verify %s: %s", unit, out)
		}
		run(t, dir, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+bound, path)
	}
}
