package cli

import "runtime/debug"

// version is set by the release build:
// -ldflags "-X binkeeper/internal/cli.version=v1.2.3".
var version string

// Version is the version of this program: the release's, else what the Go
// toolchain has recorded of the working tree, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
