package localstack

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"

	"binkeeper/internal/servers"
)

// ParseKind reads the kind of a source. Without one it is MySQL, and chosen is false.
func ParseKind(text string) (kind servers.Kind, chosen bool, err error) {
	if text == "" {
		return servers.MySQL, false, nil
	}
	if kind = servers.Kind(text); !slices.Contains(servers.Kinds, kind) {
		return "", true, fmt.Errorf("source %q: want one of %v", text, servers.Kinds)
	}
	return kind, true, nil
}

// Install runs scripts/install, from the module's folder, for what a stack with such a source needs. It returns the
// kind that is there: where MySQL cannot be had and was not chosen, that is MariaDB. What it does about missing
// things goes to w.
func Install(ctx context.Context, kind servers.Kind, chosen bool, w io.Writer) (servers.Kind, error) {
	install := func(components ...string) error {
		cmd := exec.CommandContext(ctx, "scripts/install", components...)
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("install %v: %w", components, err)
		}
		return nil
	}
	if err := install("zookeeper", "zstd"); err != nil {
		return "", err
	}
	err := install(string(kind))
	if err == nil || chosen || ctx.Err() != nil {
		return kind, err
	}
	fmt.Fprintln(w, "MySQL cannot be had on this machine: MariaDB is the source instead")
	return servers.MariaDB1011, install(string(servers.MariaDB1011))
}
