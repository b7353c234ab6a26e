package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"binkeeper/zkpaths"
)

// A format is the value of -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// Set reads table or json.
func (f *format) Set(text string) error {
	if format(text) != formatTable && format(text) != formatJSON {
		return fmt.Errorf("want %s or %s", formatTable, formatJSON)
	}
	*f = format(text)
	return nil
}

func (f *format) String() string { return string(*f) }

// Type is the placeholder in a command's help.
func (f *format) Type() string { return "format" }

// outputFormat is the format of every JSON output: its key "format".
const outputFormat = 1

// print writes value as JSON, or rows as a table: cells separated by tabs, the
// first row being the header.
func (p *program) print(cmd *cobra.Command, value any, rows func() [][]string) error {
	if p.format == formatJSON {
		return writeJSON(cmd.OutOrStdout(), value)
	}
	return writeTable(cmd.OutOrStdout(), rows())
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func writeTable(w io.Writer, rows [][]string) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = cell(text)
		}
		// The last cell is not padded, so no line ends in blanks.
		fmt.Fprintln(tabs, strings.Join(cells, "\t"))
	}
	if err := tabs.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// cell is text that keeps to its cell, and to the terminal's present line: what
// is shown may come from any client that can write to ZooKeeper or the archive.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// An outcome is what a verb that changes something says.
type outcome struct {
	Format  int    `json:"format"`
	ID      string `json:"id"`
	Changed bool   `json:"changed"`
	Message string `json:"message"`
}

// report prints what has come of a change to the task id.
func (p *program) report(cmd *cobra.Command, id string, changed bool, message string) error {
	if p.format == formatJSON {
		return writeJSON(cmd.OutOrStdout(), outcome{outputFormat, id, changed, message})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "task %s: %s\n", id, cell(message))
	return err
}

// when is a time for a table.
func when(t zkpaths.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// size is a number of bytes for a table.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exponent := float64(n)/unit, 0
	for value >= unit && exponent < 5 {
		value /= unit
		exponent++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[exponent])
}

// at is a place in a binlog for a table.
func at(file string, position int64) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", file, position)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
