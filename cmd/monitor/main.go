// Command monitor watches every task and alerts.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/monitor"
)

func main() { os.Exit(cli.Run("monitor", command())) }

func command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Watch every backup task, and write an alert to the log where one needs help",
		Args:  cobra.NoArgs,
	}
	flags := cmd.Flags()
	listen := flags.String("listen", "127.0.0.1:9109", "`address` for health checks; '' for none, port 0 for any")
	ensemble := cli.ZooKeeperFlag(flags)
	format := cli.LogFormatFlag(flags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		listener, err := openListener(*listen)
		if err != nil {
			return err
		}
		logger := cli.NewLogger(*format, os.Stderr)
		m := monitor.New(coord.Config{Servers: ensemble.Servers, Root: ensemble.Root, Logger: logger}, logger)
		start := logger.Info().Str("zookeeper", ensemble.String()).Str("version", cli.Version())
		if listener != nil {
			start = start.Stringer("listen", listener.Addr())
		}
		start.Msg("monitor starts")
		return serve(cmd.Context(), m, listener)
	}
	return cmd
}

// openListener listens at address; nil for "".
func openListener(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, cli.Fail(cli.Failed, "name another address, as in --listen 127.0.0.1:0, or '' for none", "--listen %s: %w", address, err)
	}
	return l, nil
}

// serve runs the monitor, and its HTTP server for as long.
func serve(ctx context.Context, m *monitor.Monitor, l net.Listener) error {
	if l == nil {
		return m.Run(ctx)
	}
	server := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	err := m.Run(ctx)
	server.Close()
	if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve HTTP: %w", serveErr))
	}
	return err
}
