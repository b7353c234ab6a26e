package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
)

func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Long:    "Say which version this is.\n\n" + exitCodes(cli.OK),
		Example: "  binkeeper version -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.format == formatTable {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s (%s, %s/%s)\n", programName, cli.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			}
			return writeJSON(cmd.OutOrStdout(), struct {
				Format  int    `json:"format"`
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{outputFormat, cli.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH})
		},
	}
}
