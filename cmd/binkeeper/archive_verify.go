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
is missing that the archive or the task's checkpoint in ZooKeeper tells of. It may
run while workers write.

A bare archive, as with --archive, cannot know what it has lost at its end: where
its newest segments, or its newest timeline as a whole, are gone, it is an archive
that ends earlier, and is called good. Nor does it know what its source has written.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Mismatch, cli.NoZooKeeper, cli.NoStore),
		Example: "  binkeeper archive verify orders",
	}
	return p.archiveCommand(cmd, func(cmd *cobra.Command, a opened) error {
		if a.checkpoint == nil {
			if err := a.mustHold(cmd.Context()); err != nil {
				return err
			}
		}
		report, err := a.Verify(cmd.Context(), a.checkpoint)
		if err != nil {
			return err
		}
		if err := p.print(cmd, report, func() [][]string { return verifyRows(report) }); err != nil {
			return err
		}
		if !report.OK {
			return cli.Fail(cli.Mismatch, cli.Hint(report.Err()), "the archive of task %s has %d problems", a.id, len(report.Problems))
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
