// Command binkeeper is the operator's command: it creates, shows and changes tasks
// in ZooKeeper, and lists, verifies and exports archives.
//
// One file holds each verb or small group of verbs. A verb reads its flags,
// asks coord, archive and source, and prints; what it prints is built by pure
// functions. It never writes to a task's archive, except for task.json when a
// task is created.
package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
)

const programName = "binkeeper"

func main() { os.Exit(cli.Run(programName, newRoot())) }

func newRoot() *cobra.Command {
	p := &program{zookeeper: coord.NewEnsemble(), timeout: cli.Timeout(10 * time.Second), format: formatTable}
	root := &cobra.Command{
		Use:   programName,
		Short: "Create, watch and change binlog backup tasks; list, verify and export archives",
		Long: `Create, watch and change binlog backup tasks; list, verify and export archives.

Every flag may also be given as an environment variable: --zookeeper as
BINKEEPER_ZOOKEEPER. Data is written to standard output, all else to standard
error.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.Mismatch, cli.Gap, cli.NoZooKeeper, cli.NoStore, cli.NoSource, cli.TimedOut),
	}
	flags := root.PersistentFlags()
	flags.Var(p.zookeeper, "zookeeper", coord.EnsembleUsage)
	flags.Var(&p.timeout, "timeout", "how long to wait for ZooKeeper, and then for the outcome with --wait")
	flags.VarP(&p.format, "format", "o", "table or json")

	task := &cobra.Command{Use: "task", Short: "Create, show and change tasks"}
	task.AddCommand(p.taskCreate(), p.taskSet(), p.taskList(), p.taskShow(), p.taskHistory(),
		p.taskPause(), p.taskResume(), p.taskSwitchover(), p.taskRemove())
	archives := &cobra.Command{Use: "archive", Short: "List, verify and export what is archived"}
	archives.AddCommand(p.archiveList(), p.archiveVerify(), p.archiveExport())
	root.AddCommand(task, archives, p.workers(), p.check(), p.alert(), p.ping(), p.version())
	return root
}
