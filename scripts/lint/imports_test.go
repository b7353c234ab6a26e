package main

import (
	"slices"
	"testing"
)

const (
	libraryMySQL     = "github.com/go-mysql-org/go-mysql/client"
	libraryZooKeeper = "github.com/go-zookeeper/zk"
)

// allowed are packages that keep every rule, near its edge.
func allowed() []source {
	return []source{
		pkg("cmd/worker", "binkeeper/worker", "binkeeper/internal/stores"),
		pkg("worker", "binkeeper/worker/source", "binkeeper/archive", "binkeeper/internal/coord"),
		pkg("worker/source", libraryMySQL, "binkeeper/internal/gtid"),
		pkg("cmd/monitor", "binkeeper/internal/cli", "binkeeper/monitor"),
		pkg("internal/cli", "binkeeper/internal/failure"),
		pkg("monitor", "binkeeper/internal/coord"),
		pkg("internal/coord", libraryZooKeeper, "binkeeper/zkpaths"),
		pkg("internal/stores", "binkeeper/archive", "binkeeper/archive/dirstore"),
		pkg("internal/gtid", "strings"),
		pkg("internal/servers", "os/exec"),
		pkg("zkpaths", "encoding/json"),
		pkg("archive", "binkeeper/internal/gtid", "github.com/klauspost/compress/zstd"),
		pkg("archive/dirstore", "os", "binkeeper/archive"),
		pkg("scripts/demo", "binkeeper/internal/servers"),
	}
}

func pkg(path string, imports ...string) source {
	p := source{ImportPath: "binkeeper/" + path, Imports: imports}
	p.Module.Path = "binkeeper"
	return p
}

func TestCheckAllows(t *testing.T) {
	packages := allowed()
	for i := range packages {
		if packages[i].ImportPath == "binkeeper/worker" {
			packages[i].XTestImports = []string{"binkeeper/internal/servers/servertest", libraryZooKeeper}
		}
	}
	if got := check(packages); len(got) > 0 {
		t.Errorf("violations %q, want none", got)
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		name    string
		from    string
		imports string
		test    bool // only its test imports it
		want    []string
	}{
		{name: "worker to monitor", from: "worker", imports: "binkeeper/monitor"},
		{name: "worker's test to monitor", from: "worker", imports: "binkeeper/monitor", test: true},
		{name: "monitor to worker", from: "monitor", imports: "binkeeper/worker/source"},
		{name: "monitor to worker by way of another", from: "internal/gtid", imports: "binkeeper/monitor", want: []string{
			"binkeeper/archive imports binkeeper/internal/gtid, which imports binkeeper/monitor, which imports binkeeper/internal/coord: an archive can be read without a fleet",
			"binkeeper/archive imports binkeeper/internal/gtid, which imports binkeeper/monitor: an archive can be read without a fleet",
			"binkeeper/archive/dirstore imports binkeeper/archive, which imports binkeeper/internal/gtid, which imports binkeeper/monitor, which imports binkeeper/internal/coord: an archive can be read without a fleet",
			"binkeeper/archive/dirstore imports binkeeper/archive, which imports binkeeper/internal/gtid, which imports binkeeper/monitor: an archive can be read without a fleet",
			"binkeeper/worker imports binkeeper/worker/source, which imports binkeeper/internal/gtid, which imports binkeeper/monitor: worker and monitor know each other only by what stands in ZooKeeper",
			"binkeeper/worker/source imports binkeeper/internal/gtid, which imports binkeeper/monitor: worker and monitor know each other only by what stands in ZooKeeper",
		}},
		{name: "store to another of ours", from: "archive/dirstore", imports: "binkeeper/internal/gtid"},
		{name: "go-mysql elsewhere", from: "cmd/worker", imports: libraryMySQL},
		{name: "go-zookeeper elsewhere", from: "monitor", imports: libraryZooKeeper},
		{name: "S3 elsewhere", from: "internal/stores", imports: "github.com/aws/aws-sdk-go-v2/service/s3"},
		{name: "zkpaths to one of ours", from: "zkpaths", imports: "binkeeper/internal/gtid"},
		{name: "zkpaths to a library", from: "zkpaths", imports: "github.com/rs/zerolog"},
		{name: "archive to coord", from: "archive", imports: "binkeeper/internal/coord"},
		{name: "program as a library", from: "worker", imports: "binkeeper/cmd/worker/flags"},
		{name: "what programs share to a domain", from: "internal/cli", imports: "binkeeper/zkpaths"},
		{name: "monitor's program to the archive", from: "cmd/monitor", imports: "binkeeper/archive"},
		{name: "monitor's program to a compressor", from: "monitor", imports: "binkeeper/internal/stores", want: []string{
			"binkeeper/cmd/monitor imports binkeeper/monitor, which imports binkeeper/internal/stores, which imports binkeeper/archive, which imports github.com/klauspost/compress/zstd: the monitor reads ZooKeeper alone",
			"binkeeper/cmd/monitor imports binkeeper/monitor, which imports binkeeper/internal/stores, which imports binkeeper/archive/dirstore: the monitor reads ZooKeeper alone",
			"binkeeper/cmd/monitor imports binkeeper/monitor, which imports binkeeper/internal/stores, which imports binkeeper/archive: the monitor reads ZooKeeper alone",
		}},
		{name: "servers outside tests", from: "worker", imports: "binkeeper/internal/servers"},
		{name: "scripts as a library", from: "worker", imports: "binkeeper/scripts/internal/localstack", test: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			packages := allowed()
			i := slices.IndexFunc(packages, func(p source) bool { return p.ImportPath == "binkeeper/"+test.from })
			if test.test {
				packages[i].TestImports = append(packages[i].TestImports, test.imports)
			} else {
				packages[i].Imports = append(packages[i].Imports, test.imports)
			}
			got := check(packages)
			if test.want != nil && !slices.Equal(got, test.want) {
				t.Errorf("violations\n%q, want\n%q", got, test.want)
			}
			if len(got) == 0 {
				t.Error("no violation, want one")
			}
		})
	}
}
