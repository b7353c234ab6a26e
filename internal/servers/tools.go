package servers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Mysqlbinlog returns a command that runs MySQL's own mysqlbinlog, on this machine's files, with the arguments. It
// works against MySQL; MariaDB speaks another dialect.
func Mysqlbinlog(ctx context.Context, args ...string) (*exec.Cmd, error) {
	program, err := MySQL.program(filepath.Join(MySQL.root(), "usr/bin/mysqlbinlog"))
	if err != nil {
		return nil, err
	}
	args = append([]string{"--no-defaults", "--character-sets-dir=" + filepath.Join(MySQL.share(), "charsets")}, args...)
	cmd := exec.CommandContext(ctx, program[0], append(program[1:], args...)...)
	cmd.Env = MySQL.environment()
	return cmd, nil
}

// ZKCli runs one command of ZooKeeper's own command line client, as in ZKCli(ctx, addr, "get", "/tasks/orders"),
// and returns what it prints, logs left out. It takes about a second.
func ZKCli(ctx context.Context, addr string, args ...string) (string, error) {
	classPath, err := zooKeeperClassPath()
	if err != nil {
		return "", err
	}
	java := []string{
		"-cp", classPath, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
		"org.apache.zookeeper.ZooKeeperMain", "-server", addr,
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "java", append(java, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("zkCli %q on %s: %w: %s", args, addr, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
