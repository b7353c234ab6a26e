package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// program returns a program with one command, "do", whose flags and behaviour
// the caller gives, and what it writes.
func program(do func(cmd *cobra.Command) error) (root, sub *cobra.Command, out *bytes.Buffer) {
	root = &cobra.Command{Use: "prog"}
	group := &cobra.Command{Use: "group", Short: "a group"}
	sub = &cobra.Command{Use: "do", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return do(cmd) }}
	group.AddCommand(&cobra.Command{Use: "leaf", RunE: func(*cobra.Command, []string) error { return nil }})
	root.AddCommand(sub, group)
	out = new(bytes.Buffer)
	root.SetOut(out)
	root.SetErr(out)
	return root, sub, out
}

func TestRunExitCodes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  string // of BINKEEPER_COUNT
		err  error  // of the command
		want int
		says string
	}{
		{name: "success", args: []string{"do"}, want: OK},
		{name: "error", args: []string{"do"}, err: errors.New("boom"), want: Failed, says: "prog: boom\n"},
		{name: "own code and hint", args: []string{"do"}, err: Fail(Conflict, "choose another", "it is taken"), want: Conflict, says: "prog: it is taken\nhint: choose another\n"},
		{name: "usage error of the command", args: []string{"do"}, err: Usagef("bad id"), want: BadUsage, says: "prog: bad id\n"},
		{name: "unknown command", args: []string{"nonsense"}, want: BadUsage, says: `unknown command "nonsense"`},
		{name: "unknown command in a group", args: []string{"group", "nonsense"}, want: BadUsage, says: `unknown command "nonsense"`},
		{name: "group alone", args: []string{"group"}, want: BadUsage, says: "want one of its commands: leaf\nhint: see prog group --help\n"},
		{name: "nothing", want: BadUsage, says: "want a command: "},
		{name: "unknown flag", args: []string{"do", "--nonsense"}, want: BadUsage, says: "hint: see prog do --help\n"},
		{name: "argument too many", args: []string{"do", "it"}, want: BadUsage},
		{name: "invalid flag", args: []string{"do", "--count", "x"}, want: BadUsage, says: "--count"},
		{name: "invalid environment", args: []string{"do"}, env: "x", want: BadUsage, says: "environment variable BINKEEPER_COUNT"},
		{name: "flag hides invalid environment", args: []string{"do", "--count", "3"}, env: "x", want: OK},
		{name: "help", args: []string{"do", "--help"}, want: OK},
		{name: "completion", args: []string{"completion", "bash"}, want: OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, sub, out := program(func(*cobra.Command) error { return tt.err })
			sub.Flags().Int("count", 0, "")
			root.SetArgs(append([]string{}, tt.args...))
			if tt.env != "" {
				t.Setenv("BINKEEPER_COUNT", tt.env)
			}
			if got := Run("prog", root); got != tt.want {
				t.Errorf("exit code %d, want %d; output:\n%s", got, tt.want, out)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("output %q, want %q in it", out, tt.says)
			}
		})
	}
}

func TestRunSignals(t *testing.T) {
	tests := []struct {
		name   string
		signal os.Signal
		end    error // of the command, once its context has ended
		want   int
	}{
		{"a daemon's orderly end", syscall.SIGTERM, nil, OK},
		{"interrupted", syscall.SIGINT, context.Canceled, Interrupted},
		{"terminated", syscall.SIGTERM, context.Canceled, Terminated},
		{"interrupted, with an error", syscall.SIGINT, errors.New("hand-over lost"), Interrupted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signals := make(chan os.Signal, 1)
			root, _, _ := program(func(cmd *cobra.Command) error {
				signals <- tt.signal
				<-cmd.Context().Done()
				return tt.end
			})
			root.SetArgs([]string{"do"})
			if got := run("prog", root, signals, nil); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRunSecondSignalExitsAtOnce(t *testing.T) {
	signals, exited := make(chan os.Signal, 2), make(chan int, 1)
	root, _, _ := program(func(*cobra.Command) error {
		signals <- syscall.SIGINT
		signals <- syscall.SIGTERM
		select { // deaf to its context
		case code := <-exited:
			if code != Terminated {
				t.Errorf("exit code %d, want %d", code, Terminated)
			}
		case <-time.After(10 * time.Second):
			t.Error("the second signal has not ended the process")
		}
		return nil
	})
	root.SetArgs([]string{"do"})
	run("prog", root, signals, func(code int) { exited <- code })
}

func TestEnvironmentStandsBetweenFlagAndDefault(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want string
	}{
		{"default", nil, nil, "4h a"},
		{"environment", nil, map[string]string{"BINKEEPER_REPEAT_INTERVAL": "1m"}, "1m a"},
		{"flag", []string{"--repeat-interval", "2m"}, map[string]string{"BINKEEPER_REPEAT_INTERVAL": "1m"}, "2m a"},
		{"empty environment counts", nil, map[string]string{"BINKEEPER_REPEAT_INTERVAL": ""}, " a"},
		{"list", nil, map[string]string{"BINKEEPER_WEBHOOK": "x,y"}, "4h x|y"},
		{"empty list", nil, map[string]string{"BINKEEPER_WEBHOOK": ""}, "4h "},
		{"list by flags", []string{"--webhook", "p,q", "--webhook", "r"}, map[string]string{"BINKEEPER_WEBHOOK": "x,y"}, "4h p,q|r"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			got := ""
			var interval *string
			var webhooks *[]string
			root, sub, out := program(func(*cobra.Command) error {
				got = *interval + " " + strings.Join(*webhooks, "|")
				return nil
			})
			interval = sub.Flags().String("repeat-interval", "4h", "")
			webhooks = sub.Flags().StringArray("webhook", []string{"a"}, "")
			root.SetArgs(append([]string{"do"}, tt.args...))
			if code := Run("prog", root); code != OK || got != tt.want {
				t.Errorf("got %q with code %d, want %q; output:\n%s", got, code, tt.want, out)
			}
		})
	}
}

func TestEnvironmentSatisfiesARequiredFlag(t *testing.T) {
	root, sub, out := program(func(*cobra.Command) error { return nil })
	sub.Flags().String("source", "", "")
	if err := sub.MarkFlagRequired("source"); err != nil {
		t.Fatal(err)
	}
	root.SetArgs([]string{"do"})
	if got := Run("prog", root); got != BadUsage {
		t.Errorf("without it: exit code %d, want %d", got, BadUsage)
	}
	t.Setenv("BINKEEPER_SOURCE", "here")
	if got := Run("prog", root); got != OK {
		t.Errorf("with it: exit code %d, want %d; output:\n%s", got, OK, out)
	}
}
