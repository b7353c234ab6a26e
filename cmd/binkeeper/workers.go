package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

func (p *program) workers() *cobra.Command {
	return &cobra.Command{
		Use:     "workers",
		Short:   "List the workers that are alive",
		Long:    "List the workers that are alive.\n\n" + exitCodes(cli.OK, cli.Failed, cli.NoZooKeeper),
		Example: "  binkeeper workers -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var nodes []coord.WorkerNode
			err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
				nodes, err = s.Workers(ctx)
				return err
			})
			if err != nil {
				return fmt.Errorf("list workers: %w", err)
			}
			list := newWorkersOutput(nodes, func(text string) { cli.Warn(cmd.ErrOrStderr(), programName, text) })
			return p.print(cmd, list, list.rows)
		},
	}
}

type workersOutput struct {
	Format  int         `json:"format"`
	Workers []workerRow `json:"workers"`
}

type workerRow struct {
	ServerID  string       `json:"server_id"`
	Host      string       `json:"host"`
	PID       int          `json:"pid"`
	CPUs      int          `json:"cpus"`
	Version   string       `json:"version"`
	Listen    string       `json:"listen"`
	StartedAt zkpaths.Time `json:"started_at"`
}

// newWorkersOutput shows the workers among nodes. One whose payload cannot be
// read is shown by its server id alone, and warned of, as is a stranger.
func newWorkersOutput(nodes []coord.WorkerNode, warn func(string)) workersOutput {
	list := workersOutput{outputFormat, []workerRow{}}
	for _, n := range nodes {
		if n.Err != nil {
			warn(n.Err.Error())
		}
		if id, ok := zkpaths.ParseWorker(n.Name); ok {
			w := n.Worker
			list.Workers = append(list.Workers, workerRow{id, w.Host, w.PID, w.CPUs, w.Version, w.Listen, w.StartedAt})
		}
	}
	return list
}

func (l workersOutput) rows() [][]string {
	rows := [][]string{{"SERVER", "HOST", "PID", "CPUS", "VERSION", "LISTEN", "STARTED"}}
	for _, w := range l.Workers {
		rows = append(rows, []string{w.ServerID, w.Host, strconv.Itoa(w.PID), strconv.Itoa(w.CPUs), w.Version, w.Listen, when(w.StartedAt)})
	}
	return rows
}
