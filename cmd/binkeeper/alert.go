package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/monitor"
)

// maxTestAnswer bounds what is read of a monitor's answer, in bytes.
const maxTestAnswer = 1 << 20

// alertTestTimeout is how long a test may take by default: a channel that hangs is
// given 10 s for each of its two alerts.
const alertTestTimeout = 30 * time.Second

func (p *program) alert() *cobra.Command {
	cmd := &cobra.Command{Use: "alert", Short: "Test the channels by which the monitor alerts"}
	cmd.AddCommand(p.alertTest())
	return cmd
}

func (p *program) alertTest() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send one firing and one resolved alert through every channel of a running monitor",
		Long: `Send one firing and one resolved alert, BinkeeperTest, through every channel of
a running monitor, and show what came of it. It fails when one of them does. Only
the monitor knows its channels, so ZooKeeper is not asked.

` + exitCodes(cli.OK, cli.Failed),
		Example: "  binkeeper alert test --monitor 127.0.0.1:9109",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			timeout := alertTestTimeout
			if cmd.Flags().Changed("timeout") {
				timeout = time.Duration(p.timeout)
			}
			result, err := testAlerts(cmd.Context(), address, timeout)
			if err != nil {
				return err
			}
			if err := p.print(cmd, result, func() [][]string { return testRows(result) }); err != nil {
				return err
			}
			return testVerdict(result)
		},
	}
	cmd.Flags().StringVar(&address, "monitor", "127.0.0.1:9109", "the monitor's --listen `address`, or its URL")
	return cmd
}

// testAlerts asks the monitor at an address for a test of its channels.
func testAlerts(ctx context.Context, address string, timeout time.Duration) (monitor.TestResult, error) {
	var result monitor.TestResult
	target, err := monitorURL(address)
	if err != nil {
		return result, err
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(bounded, http.MethodPost, target.String(), nil)
	if err != nil {
		return result, fmt.Errorf("test the alerts of %s: %w", target.Host, err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if err != nil {
		return result, cli.Fail(cli.Failed, "check that a monitor runs, and its --listen", "test the alerts of %s: %w", target.Host, bare(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxTestAnswer))
	if err != nil {
		return result, fmt.Errorf("test the alerts of %s: %w", target.Host, err)
	}
	if response.StatusCode != http.StatusOK {
		return result, cli.Fail(cli.Failed, "check that it is a monitor that listens there", "test the alerts of %s: %s", target.Host, response.Status)
	}
	if err := json.Unmarshal(body, &result); err != nil || len(result.Channels) == 0 {
		return result, cli.Fail(cli.Failed, "check that it is a monitor that listens there", "test the alerts of %s: the answer is not a monitor's", target.Host)
	}
	return result, nil
}

// monitorURL is where a monitor takes a request for a test.
func monitorURL(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	target, err := healthURL(address)
	if err != nil {
		return nil, cli.Usagef("--monitor: want host:port or a URL")
	}
	return target.JoinPath("api/v1/alerts/test"), nil
}

// bare is an error of a request without its URL.
func bare(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func testRows(result monitor.TestResult) [][]string {
	rows := [][]string{{"CHANNEL", "OK", "ERROR"}}
	for _, c := range result.Channels {
		rows = append(rows, []string{c.Channel, yesNo(c.OK), c.Error})
	}
	return rows
}

// testVerdict is an error when a channel has failed.
func testVerdict(result monitor.TestResult) error {
	var failed []string
	for _, c := range result.Channels {
		if !c.OK {
			failed = append(failed, c.Channel)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return cli.Fail(cli.Failed, "nobody is woken by it: check its URL and whether its receiver answers", "no delivery by %s", strings.Join(failed, ", "))
}
