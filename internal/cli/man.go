//go:build man

package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// The tag keeps the generator, and the modules that it needs, out of the programs.
func init() { extend = addMan }

// addMan adds the command that writes a page for root and each command below it.
func addMan(root *cobra.Command) {
	root.DisableAutoGenTag = true
	root.AddCommand(&cobra.Command{
		Use:    "man DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keepLists(cmd.Root())
			header := &doc.GenManHeader{Section: "1", Source: "Binkeeper " + Version(), Manual: "Binkeeper"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	})
}

// keepLists indents what is indented in a help text, such as the exit codes, so far
// that a page shows it line by line.
func keepLists(cmd *cobra.Command) {
	var page strings.Builder
	before := ""
	for line := range strings.Lines(cmd.Long) {
		if strings.HasPrefix(line, "  ") {
			if !strings.HasPrefix(before, "  ") {
				page.WriteByte('\n')
			}
			page.WriteString("    ")
		}
		page.WriteString(line)
		before = line
	}
	cmd.Long = page.String()
	for _, sub := range cmd.Commands() {
		keepLists(sub)
	}
}
