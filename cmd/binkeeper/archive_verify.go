package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"binkeeper/archive"
	"binkeeper/internal/cli"
)

func (p *program) archiveVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify ID",
		Short: "Read an archive and check every byte of it",
		Long: `Read an archive and check every byte of it against its hashes, and that nothing
is missing. It may run while workers write.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Mismatch, cli.NoZooKeeper, cli.NoStore),
		Example: "  binkeeper archive verify orders",
	}
	return p.archiveCommand(cmd, func(cmd *cobra.Command, id string, a *archive.Archive) error {
		report, err := a.Verify(cmd.Context())
		if err != nil {
			return err
		}
		if err := p.print(cmd, report, func() [][]string { return verifyRows(report) }); err != nil {
			return err
		}
		if !report.OK {
			return cli.Fail(cli.Mismatch, cli.Hint(report.Err()), "the archive of task %s has %d problems", id, len(report.Problems))
		}
		return nil
	})
}

func verifyRows(r archive.Report) [][]string {
	if r.OK {
		return [][]string{{"RESULT", "FILES", "BYTES"}, {"ok", strconv.FormatInt(r.Files, 10), strconv.FormatInt(r.Bytes, 10)}}
	}
	rows := [][]string{{"OBJECT", "OFFSET", "PROBLEM"}}
	for _, p := range r.Problems {
		rows = append(rows, []string{p.Object, strconv.FormatInt(p.Offset, 10), p.Problem})
	}
	return rows
}
