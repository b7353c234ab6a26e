package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/archive"
	"binkeeper/internal/cli"
)

func (p *program) archiveList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list ID",
		Short: "List the binlog files in an archive",
		Long: `List the binlog files in an archive, of all its timelines. It reads what the
segments say of themselves; binkeeper archive verify reads their bytes.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Mismatch, cli.Gap, cli.NoZooKeeper, cli.NoStore),
		Example: "  binkeeper archive list orders\n  binkeeper archive list orders --archive file:///backup/binlogs -o json",
	}
	return p.archiveCommand(cmd, func(cmd *cobra.Command, a opened) error {
		if err := a.mustHold(cmd.Context()); err != nil {
			return err
		}
		files, err := a.Files(cmd.Context(), archive.All)
		if len(files) == 0 && err != nil {
			return err
		}
		list := filesOutput{outputFormat, append([]archive.File{}, files...)}
		if perr := p.print(cmd, list, list.rows); perr != nil {
			return perr
		}
		return err
	})
}

type filesOutput struct {
	Format int            `json:"format"`
	Files  []archive.File `json:"files"`
}

func (l filesOutput) rows() [][]string {
	rows := [][]string{{"TIMELINE", "FILE", "START", "END", "STORED", "SEGMENTS", "SEALED", "COMPLETE", "FIRST EVENT", "LAST EVENT"}}
	for _, f := range l.Files {
		number := func(n int64) string { return strconv.FormatInt(n, 10) }
		rows = append(rows, []string{number(f.Timeline), f.File, number(f.Start), number(f.End), size(f.StoredBytes), number(f.Segments),
			yesNo(f.Sealed), yesNo(f.Complete), eventTime(f.FirstEventTime), eventTime(f.LastEventTime)})
	}
	return rows
}

func eventTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
