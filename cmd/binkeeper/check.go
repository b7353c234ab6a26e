package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/monitor"
	"binkeeper/zkpaths"
)

// The exit codes of a Nagios plugin.
const (
	nagiosOK       = 0
	nagiosWarning  = 1
	nagiosCritical = 2
	nagiosUnknown  = 3
)

var nagiosWords = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

func (p *program) check() *cobra.Command {
	var nagios bool
	durableMaxAge := cli.Timeout(time.Minute)
	cmd := &cobra.Command{
		Use:   "check [TASK...]",
		Short: "Look once at the health of all tasks, or of some",
		Long: `Look once at the health of all tasks, or of some, by the conditions of the
monitor's alerts. One look has no history: what the monitor would give a minute
counts at once, the age of durable_time is taken by this machine's clock, and
whether a task stalls cannot be seen. A task that has vanished is seen where a
worker misses it. The command fails when anything is wrong.

With --nagios it is a plugin: one line with performance data, and the exit codes
0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (such as no ZooKeeper, or no such task).

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.NoZooKeeper),
		Example: "  binkeeper check\n  binkeeper check --nagios orders",
		Args: func(_ *cobra.Command, args []string) error {
			for _, id := range args {
				if err := zkpaths.CheckTaskID(id); err != nil {
					return err
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var health checkOutput
			err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) error {
				seen, err := observeAll(ctx, s, args)
				health = newCheckOutput(seen, time.Now(), time.Duration(durableMaxAge))
				return err
			})
			if nagios {
				return printNagios(cmd, health, err)
			}
			if err != nil {
				return fmt.Errorf("check: %w", err)
			}
			if err := p.print(cmd, health, health.rows); err != nil {
				return err
			}
			return health.verdict()
		},
	}
	cmd.Flags().BoolVar(&nagios, "nagios", false, "be a Nagios plugin")
	cmd.Flags().Var(&durableMaxAge, "durable-max-age", "how old durable_time may be (`duration`)")
	return cmd
}

// viewAll looks at the tasks called ids, or at all. One of all that is removed
// meanwhile is left out.
func viewAll(ctx context.Context, s *coord.Session, ids []string) ([]coord.TaskView, error) {
	named := len(ids) > 0
	if !named {
		var err error
		if ids, err = s.Tasks(ctx); err != nil {
			return nil, err
		}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	views := make([]coord.TaskView, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for i, id := range ids {
		group.Go(func() (err error) {
			views[i], err = s.Look(ctx, id)
			if errors.Is(err, coord.ErrNoTask) && !named {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(views, func(v coord.TaskView) bool { return v.ID == "" }), nil
}

// observeAll looks at the tasks called ids, or at all and at those that workers miss.
func observeAll(ctx context.Context, s *coord.Session, ids []string) ([]monitor.Observation, error) {
	views, err := viewAll(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	var seen []monitor.Observation
	for _, view := range views {
		there[view.ID] = true
		seen = append(seen, monitor.Observe(view))
	}
	if len(ids) > 0 {
		return seen, nil
	}
	workers, err := s.Workers(ctx)
	for _, id := range missed(workers) {
		if !there[id] {
			seen = append(seen, monitor.Vanished(id))
		}
	}
	return seen, err
}

// A checkOutput is what check shows.
type checkOutput struct {
	Format   int               `json:"format"`
	OK       bool              `json:"ok"`
	Tasks    []checkedTask     `json:"tasks"`
	Findings []monitor.Finding `json:"findings"`
}

// A checkedTask is one task that was looked at.
type checkedTask struct {
	ID          string  `json:"id"`
	State       string  `json:"state"`
	Worst       string  `json:"worst"`       // severity, "" when all is well
	DurableAge  float64 `json:"durable_age"` // s; 0 when nothing is durable yet, and for a task that is not to run
	BehindBytes int64   `json:"behind_bytes"`
	Instances   int     `json:"instances"`
}

func newCheckOutput(observed []monitor.Observation, now time.Time, durableMaxAge time.Duration) checkOutput {
	out := checkOutput{Format: outputFormat, OK: true, Tasks: []checkedTask{}, Findings: []monitor.Finding{}}
	for _, seen := range observed {
		task := checkedTask{ID: seen.ID, State: seen.State, DurableAge: monitor.DurableAge(seen, now).Seconds(), BehindBytes: seen.BehindBytes, Instances: seen.Instances}
		for _, f := range monitor.Check(seen, now, durableMaxAge) {
			out.OK = false
			out.Findings = append(out.Findings, f)
			if task.Worst != monitor.Critical {
				task.Worst = f.Severity
			}
		}
		out.Tasks = append(out.Tasks, task)
	}
	return out
}

// count is how many tasks have a worst finding of a severity.
func (c checkOutput) count(severity string) int {
	n := 0
	for _, t := range c.Tasks {
		if t.Worst == severity {
			n++
		}
	}
	return n
}

func (c checkOutput) rows() [][]string {
	rows := [][]string{{"TASK", "HEALTH", "ALERT", "WHAT"}}
	for _, t := range c.Tasks {
		if t.Worst == "" {
			rows = append(rows, []string{t.ID, "ok", "", ""})
		}
		for _, f := range c.Findings {
			if f.Task == t.ID {
				rows = append(rows, []string{t.ID, f.Severity, f.Alert, f.Detail})
			}
		}
	}
	return rows
}

// verdict is an error when anything is wrong.
func (c checkOutput) verdict() error {
	if c.OK {
		return nil
	}
	return cli.Fail(cli.Failed, "docs/alerts.md has a section for each alert", "%d of %d tasks critical, %d with a warning", c.count(monitor.Critical), len(c.Tasks), c.count(monitor.Warning))
}

// printNagios prints the plugin's line; its error has the plugin's exit code.
func printNagios(cmd *cobra.Command, c checkOutput, trouble error) error {
	code := nagiosOK
	var words []string
	switch {
	case trouble != nil:
		code, words = nagiosUnknown, []string{trouble.Error()}
	case c.count(monitor.Critical) > 0:
		code = nagiosCritical
	case c.count(monitor.Warning) > 0:
		code = nagiosWarning
	}
	for _, f := range c.Findings {
		words = append(words, f.Summary)
	}
	if len(words) == 0 {
		words = []string{fmt.Sprintf("%d tasks", len(c.Tasks))}
	}
	// A bar would begin the performance data.
	text := strings.ReplaceAll(cell(strings.Join(words, "; ")), "|", "/")
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "BINKEEPER %s - %s%s\n", nagiosWords[code], text, perfdata(c, trouble)); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if code == nagiosOK {
		return nil
	}
	return cli.Fail(code, "", "check: %s", nagiosWords[code])
}

// perfdata is in the form of Nagios: 'label'=value[unit], ages in seconds, sizes in
// bytes.
func perfdata(c checkOutput, trouble error) string {
	if trouble != nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, " | tasks=%d critical=%d warning=%d", len(c.Tasks), c.count(monitor.Critical), c.count(monitor.Warning))
	for _, t := range c.Tasks {
		fmt.Fprintf(&b, " '%s_durable_age'=%.0fs '%s_behind'=%dB '%s_instances'=%d", t.ID, t.DurableAge, t.ID, t.BehindBytes, t.ID, t.Instances)
	}
	return b.String()
}
