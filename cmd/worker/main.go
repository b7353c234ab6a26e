// Command worker is a member of the fleet: it archives the binlogs of the tasks in
// whose line it is first, and stands by for the others.
package main

import (
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"time"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"

	"github.com/spf13/cobra"
)

// gcPercent is how far garbage may grow a worker's heap, unless GOGC says otherwise.
// Most of it is segment buffers, which stay: the default of 100 would double
// them, for little work saved.
const gcPercent = 25

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(cli.Run("worker", command()))
}

func command() *cobra.Command {
	var (
		serverID, listen string
		patterns         []string
		secrets          secret.Limits
		timeout          = cli.Timeout(coord.DefaultTimeout)
	)
	cmd := &cobra.Command{
		Use:   "worker --server-id ID",
		Short: "Archive MySQL binary logs, or stand by for the worker that does",
		Args:  cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&serverID, "server-id", "", "name of this worker, unique among the live ones (required)")
	flags.Var(&timeout, "session-timeout", "ZooKeeper session `timeout` to ask for: how soon a standby takes over from a dead primary")
	flags.StringArrayVar(&patterns, "tasks", nil, "serve the tasks that match this `pattern` only, such as 'orders-*' (may be repeated)")
	flags.StringArrayVar(&secrets.Dirs, "secrets-dir", secret.DefaultDirs(), "read the passwords of tasks below this `folder` only (may be repeated)")
	flags.StringVar(&secrets.EnvPrefix, "secrets-env-prefix", secret.DefaultEnvPrefix, "take the passwords of tasks only from variables whose names begin with this `prefix`")
	flags.StringVar(&listen, "listen", "127.0.0.1:9108", "`address` for health checks and metrics; '' for none, port 0 for any")
	ensemble := coord.NewEnsemble()
	flags.Var(ensemble, "zookeeper", coord.EnsembleUsage)
	format, level := cli.LogFormatFlag(flags), cli.LogLevelFlag(flags)

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := zkpaths.CheckServerID(serverID); err != nil {
			return cli.Usagef("--server-id: %w", err)
		}
		for _, pattern := range patterns {
			if _, err := path.Match(pattern, ""); err != nil {
				return cli.Usagef("--tasks %q: %w", pattern, err)
			}
		}
		for _, dir := range secrets.Dirs {
			if !filepath.IsAbs(dir) {
				return cli.Usagef("--secrets-dir %q: want an absolute path", dir)
			}
		}
		listener, err := cli.Listen(listen)
		if err != nil {
			return err
		}
		logger := cli.NewLogger(*format, os.Stderr).Level(*level)
		w, err := worker.New(worker.Config{
			ServerID:  serverID,
			ZooKeeper: coord.Config{Servers: ensemble.Servers, Root: ensemble.Root, Timeout: time.Duration(timeout), Logger: logger},
			Tasks:     patterns, OpenStore: stores.Open, ResolvePassword: secrets.Resolve,
			Version: cli.Version(), Listen: cli.Address(listener), Logger: logger,
		})
		if err != nil {
			return err
		}
		logger.Info().Str("server_id", serverID).Str("zookeeper", ensemble.String()).Str("listen", cli.Address(listener)).Str("version", cli.Version()).Msg("worker starts")
		return cli.Serve(cmd.Context(), listener, w.Handler(), w.Run)
	}
	return cmd
}
