package localstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Command is a call of binkeeper, or of another program, that has ended well.
type Command struct {
	Line   string // as an operator would type it
	Stdout string
}

// Binkeeper runs the operator's command against the stack's ZooKeeper. An error holds what the command said.
func (s *Stack) Binkeeper(ctx context.Context, args ...string) (Command, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Programs, "binkeeper"), args...)
	cmd.Env = append(os.Environ(), "BINKEEPER_ZOOKEEPER="+s.ZooKeeperAddr())
	return run(cmd, strings.Join(append([]string{"binkeeper"}, args...), " "))
}

// Shell runs a script of the shell, in which $1 and on stand for the arguments.
func Shell(ctx context.Context, script string, args ...string) (Command, error) {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh"}, args...)...)
	line := script
	for i, arg := range args {
		line = strings.ReplaceAll(line, fmt.Sprintf(`"$%d"`, i+1), arg)
	}
	return run(cmd, line)
}

func run(cmd *exec.Cmd, line string) (Command, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String() + stdout.String())
		return Command{}, fmt.Errorf("%s: %w: %s", line, err, said)
	}
	return Command{Line: line, Stdout: stdout.String()}, nil
}
