package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// A row is one line of the table. Holds is nil where there is no bound.
type row struct {
	Measured string  `json:"measured"`
	Got      string  `json:"got"`
	Against  string  `json:"against,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // how many times better than what it is measured against
	Bound    string  `json:"bound,omitempty"`
	Holds    *bool   `json:"holds,omitempty"`
}

// A report is the table so far.
type report struct {
	Machine map[string]string `json:"machine"`
	Rows    []row             `json:"rows"`
}

// plain adds a row without a bound.
func (r *report) plain(measured, got, against string) {
	r.add(row{Measured: measured, Got: got, Against: against})
}

// ratio adds a row that compares; no bound when least is 0.
func (r *report) ratio(measured, got, against string, ratio, least float64) {
	line := row{Measured: measured, Got: got, Against: against, Ratio: float64(int(ratio*100+0.5)) / 100}
	if least > 0 {
		holds := ratio >= least
		line.Bound, line.Holds = fmt.Sprintf("at least %g", least), &holds
	}
	r.add(line)
}

// limit adds a row of what must not be more than a bound.
func (r *report) limit(measured, got, bound string, holds bool) {
	r.add(row{Measured: measured, Got: got, Bound: bound, Holds: &holds})
}

func (r *report) add(line row) {
	r.Rows = append(r.Rows, line)
	say("%s: %s", line.Measured, strings.Join([]string{line.Got, line.Against, line.result()}, " | "))
}

// result is the row's ratio and whether the bound holds.
func (line row) result() string {
	var text string
	if line.Ratio > 0 {
		text = fmt.Sprintf("%.2f", line.Ratio)
	}
	switch {
	case line.Holds == nil:
		return text
	case *line.Holds:
		return strings.TrimSpace(text + " holds")
	}
	return strings.TrimSpace(text + " FAILS")
}

// publish prints the table on stdout, and writes it as JSON when it is to.
func (r *report) publish(ctx context.Context, s *scene) error {
	r.Machine = map[string]string{
		"cpu": cpuModel(), "cpus": fmt.Sprint(runtime.NumCPU()), "go": runtime.Version(), "date": time.Now().UTC().Format(time.RFC3339),
		"runs": fmt.Sprint(s.runs), "quick": fmt.Sprint(s.quick),
	}
	for _, b := range s.backlogs {
		var version string
		if err := b.source.DB().QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
			return err
		}
		r.Machine["mysql"] = version
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| measured\t| got\t| against\t| ratio\t| bound\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|")
	for _, line := range r.Rows {
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", line.Measured, line.Got, line.Against, line.result(), line.Bound)
	}
	if err := w.Flush(); err != nil || s.json == "" {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.json, append(text, '\n'), 0o644)
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }

// rate is bytes over a time.
func rate(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.0f MB/s", float64(bytes)/1e6/d.Seconds())
}

func over(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }
