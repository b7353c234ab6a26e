// Command monitor watches every task, and alerts where one needs help.
package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/monitor"
)

func main() { os.Exit(cli.Run("monitor", command())) }

func command() *cobra.Command {
	var (
		cfg     monitor.Config
		listen  string
		repeat  = cli.Timeout(4 * time.Hour)
		durable = cli.Timeout(time.Minute)
		stall   = cli.Timeout(time.Minute)
	)
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Watch every backup task, and alert where one needs help",
		Args:  cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:9109", "`address` for health checks, metrics and alerts; '' for none, port 0 for any")
	flags.StringArrayVar(&cfg.Webhooks, "webhook", nil, "post each alert to this `URL`, in the JSON of Alertmanager's webhook (may be repeated)")
	flags.StringArrayVar(&cfg.Alertmanagers, "alertmanager", nil, "keep the Alertmanager at this `URL` up to date (may be repeated)")
	flags.StringVar(&cfg.HeartbeatURL, "heartbeat-url", "", "call this `URL` every minute while all tasks can be seen")
	flags.StringVar(&cfg.StateFile, "state-file", "", "keep here what was said, so that a restart says nothing twice and forgets nothing (`file`)")
	flags.Var(&repeat, "repeat-interval", "say again that an alert fires after this `duration`")
	flags.Var(&durable, "durable-max-age", "alert when durable_time has not advanced for this `duration`")
	flags.Var(&stall, "stall-after", "alert when the source is ahead and nothing has become durable for this `duration`")
	ensemble := coord.NewEnsemble()
	flags.Var(ensemble, "zookeeper", coord.EnsembleUsage)
	format, level := cli.LogFormatFlag(flags), cli.LogLevelFlag(flags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		logger := cli.NewLogger(*format, os.Stderr).Level(*level)
		cfg.ZooKeeper = coord.Config{Servers: ensemble.Servers, Root: ensemble.Root, Logger: logger}
		cfg.Limits = monitor.Limits{DurableMaxAge: time.Duration(durable), StallAfter: time.Duration(stall)}
		cfg.RepeatInterval, cfg.Version, cfg.Logger = time.Duration(repeat), cli.Version(), logger
		m, err := monitor.New(cfg)
		if wrong := (*monitor.URLError)(nil); errors.As(err, &wrong) {
			return cli.Usage(err)
		}
		if err != nil {
			return err
		}
		listener, err := cli.Listen(listen)
		if err != nil {
			return err
		}
		logger.Info().Str("zookeeper", ensemble.String()).Str("listen", cli.Address(listener)).Str("version", cli.Version()).Msg("monitor starts")
		return cli.Serve(cmd.Context(), listener, m.Handler(), m.Run)
	}
	return cmd
}
