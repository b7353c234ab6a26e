package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/archive"
	"binkeeper/internal/cli"
)

func (p *program) archiveExport() *cobra.Command {
	var dir string
	var which timeline
	cmd := &cobra.Command{
		Use:   "export ID --output DIR",
		Short: "Write the binlog files of an archive to a folder, byte for byte",
		Long: `Write the binlog files of an archive to a folder, byte for byte as they were on
the source: those of the newest timeline, of another one, or of all, each in a
folder of its own. Every byte is checked. The last file ends where the archive
does. At a hole nothing beyond it is written, and the exit code is 7.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.Mismatch, cli.Gap, cli.NoZooKeeper, cli.NoStore),
		Example: "  binkeeper archive export orders --output /restore/orders\n  mysqlbinlog /restore/orders/mysql-bin.0* | mysql",
	}
	cmd.Flags().StringVar(&dir, "output", "", "the folder, which must be new or empty")
	cmd.Flags().Var(&which, "timeline", "a timeline's number, or all (default: the newest)")
	cobra.CheckErr(cmd.MarkFlagRequired("output"))
	return p.archiveCommand(cmd, func(cmd *cobra.Command, a opened) error {
		if dir == "" {
			return cli.Usagef("archive export %s: --output is empty", a.id)
		}
		if err := a.mustHold(cmd.Context()); err != nil {
			return err
		}
		return p.export(cmd, a.Archive, dir, int64(which))
	})
}

func (p *program) export(cmd *cobra.Command, a *archive.Archive, dir string, which int64) error {
	out := exportOutput{Format: outputFormat, Files: []exportedFile{}}
	meter := newMeter(cmd.ErrOrStderr())
	err := a.Export(cmd.Context(), dir, which, func(done archive.Progress) {
		out.add(done)
		meter.show(done, time.Now())
	})
	meter.end()
	if hole := (*archive.HoleError)(nil); err != nil && !errors.As(err, &hole) {
		return err
	}
	if perr := p.print(cmd, out, out.rows); perr != nil {
		return perr
	}
	return err
}

// A timeline is the value of --timeline: a number, archive.Newest or archive.All.
type timeline int64

// Set reads a number from 1, or all.
func (t *timeline) Set(text string) error {
	if text == "all" {
		*t = archive.All
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return errors.New("want a number from 1, or all")
	}
	*t = timeline(n)
	return nil
}

func (t *timeline) String() string {
	switch *t {
	case archive.Newest:
		return ""
	case archive.All:
		return "all"
	}
	return strconv.FormatInt(int64(*t), 10)
}

// Type is the placeholder in a command's help.
func (t *timeline) Type() string { return "timeline" }

// An exportOutput says what was exported.
type exportOutput struct {
	Format int            `json:"format"`
	Files  []exportedFile `json:"files"`
	Bytes  int64          `json:"bytes"`
	End    exportEnd      `json:"end"`
}

type exportedFile struct {
	Timeline int64  `json:"timeline"`
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
}

// An exportEnd is the place of the last byte's end; before any byte it is 0, "", 0.
type exportEnd struct {
	Timeline int64  `json:"timeline"`
	File     string `json:"file"`
	Position int64  `json:"position"`
}

// add records a segment that was written.
func (o *exportOutput) add(done archive.Progress) {
	if done.Offset == 0 {
		return // it only ends something
	}
	file := exportedFile{done.Timeline, done.File, done.Offset}
	if n := len(o.Files) - 1; n >= 0 && o.Files[n].Timeline == file.Timeline && o.Files[n].File == file.File {
		o.Files[n] = file
	} else {
		o.Files = append(o.Files, file)
	}
	o.Bytes, o.End = done.Bytes, exportEnd{done.Timeline, done.File, done.Offset}
}

func (o exportOutput) rows() [][]string {
	return [][]string{
		{"FILES", "BYTES", "TIMELINE", "END"},
		{strconv.Itoa(len(o.Files)), strconv.FormatInt(o.Bytes, 10), strconv.FormatInt(o.End.Timeline, 10), at(o.End.File, o.End.Position)},
	}
}

// A meter shows an export's progress: one line that is written over on a
// terminal, a line a minute elsewhere.
type meter struct {
	w        io.Writer
	terminal bool
	last     time.Time
	shown    bool
}

const (
	meterOnTerminal = 200 * time.Millisecond
	meterElsewhere  = time.Minute
)

func newMeter(w io.Writer) *meter {
	return &meter{w: w, terminal: cli.IsTerminal(w), last: time.Now()}
}

func (m *meter) show(done archive.Progress, now time.Time) {
	every, form := meterElsewhere, "exported %s in %d files, at %s\n"
	if m.terminal {
		every, form = meterOnTerminal, "\rexported %s in %d files, at %s\x1b[K"
	}
	if now.Sub(m.last) < every {
		return
	}
	m.last, m.shown = now, true
	fmt.Fprintf(m.w, form, size(done.Bytes), done.Files, cell(at(done.File, done.Offset)))
}

// end leaves the terminal's line.
func (m *meter) end() {
	if m.terminal && m.shown {
		fmt.Fprintln(m.w)
	}
}
