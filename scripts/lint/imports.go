package main

import (
	"fmt"
	"slices"
	"strings"
)

// source is a package as go list shows it.
type source struct {
	ImportPath                         string
	Module                             struct{ Path string }
	Imports, TestImports, XTestImports []string
}

// A rule says what the packages that match From, tests left out, do not import. A pattern is an import path, in this
// module without the module's own, or everything below one with "/..."; "std" is the standard library, "own" this
// module and "*" everything.
type rule struct {
	from   []string
	except []string // of from
	not    []string
	but    []string // of not
	deep   bool     // nor by way of other packages of this module
	tests  bool     // their tests included
	why    string
}

// rules are those of the design.
var rules = []rule{
	{from: []string{"worker/..."}, not: []string{"monitor/..."}, deep: true, tests: true,
		why: "worker and monitor know each other only by what stands in ZooKeeper"},
	{from: []string{"monitor/..."}, not: []string{"worker/..."}, deep: true, tests: true,
		why: "worker and monitor know each other only by what stands in ZooKeeper"},
	{from: []string{"archive/dirstore/...", "archive/s3store/..."}, not: []string{"own"}, but: []string{"archive"},
		why: "a store knows nothing of ours but the archive's contract"},
	{from: []string{"own"}, except: []string{"worker/source/...", "internal/mysqltest"}, not: []string{"github.com/go-mysql-org/..."},
		why: "only worker/source speaks the dump protocol"},
	{from: []string{"own"}, except: []string{"internal/coord/..."}, not: []string{"github.com/go-zookeeper/..."},
		why: "only internal/coord speaks to ZooKeeper"},
	{from: []string{"own"}, except: []string{"archive/s3store/..."}, not: []string{"github.com/aws/..."},
		why: "only archive/s3store speaks to S3"},
	{from: []string{"own"}, except: []string{"archive"}, not: []string{"github.com/DataDog/zstd", "github.com/klauspost/compress/..."},
		why: "only package archive compresses"},
	{from: []string{"zkpaths/..."}, not: []string{"*"}, but: []string{"std"},
		why: "the contract between the programs is pure"},
	{from: []string{"archive/..."}, not: []string{"worker/...", "monitor/...", "internal/coord/..."}, deep: true,
		why: "an archive can be read without a fleet"},
	{from: []string{"own"}, except: []string{"cmd/..."}, not: []string{"cmd/..."}, tests: true,
		why: "a program is nobody's library"},
	{from: []string{"internal/cli"}, not: []string{"own"}, but: []string{"internal/failure"},
		why: "what programs have in common knows no domain: errors bring their kind along"},
	{from: []string{"cmd/monitor"}, not: []string{"archive/...", "github.com/go-mysql-org/...", "github.com/DataDog/zstd", "github.com/klauspost/..."}, deep: true,
		why: "the monitor reads ZooKeeper alone"},
	{from: []string{"internal/failure"}, not: []string{"own"}, why: "every package may use it"},
	{from: []string{"own"}, except: []string{"internal/servers/...", "scripts/..."}, not: []string{"internal/servers/..."},
		why: "real servers are for tests and scripts"},
	{from: []string{"own"}, except: []string{"internal/memnet", "internal/zktest", "internal/mysqltest"},
		not: []string{"internal/memnet", "internal/zktest", "internal/mysqltest"}, why: "servers in memory are for tests"},
	{from: []string{"own"}, except: []string{"internal/faults/...", "internal/history/...", "scripts/..."},
		not: []string{"internal/faults/...", "internal/history/..."}, why: "faults, and what judges them, are for tests and scripts"},
	{from: []string{"own"}, except: []string{"scripts/..."}, not: []string{"scripts/..."}, tests: true,
		why: "scripts are nobody's library"},
}

// check returns a line for each import by which packages break a rule.
func check(packages []source) []string {
	g := graph{imports: map[string][]string{}}
	for _, p := range packages {
		g.module = p.Module.Path
		g.imports[p.ImportPath] = p.Imports
	}
	var violations []string
	for _, p := range packages {
		for _, r := range rules {
			if !g.matches(p.ImportPath, r.from) || g.matches(p.ImportPath, r.except) {
				continue
			}
			for _, path := range g.reached(p, r) {
				found := path[len(path)-1]
				if g.matches(found, r.not) && !g.matches(found, r.but) {
					violations = append(violations, fmt.Sprintf("%s imports %s: %s", p.ImportPath, strings.Join(path, ", which imports "), r.why))
				}
			}
		}
	}
	slices.Sort(violations)
	return slices.Compact(violations)
}

// graph is who imports whom, tests left out.
type graph struct {
	module  string
	imports map[string][]string
}

// reached returns a path to each package that p imports as far as r goes, p itself left out of both.
func (g graph) reached(p source, r rule) [][]string {
	first := p.Imports
	if r.tests {
		first = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
	}
	seen := map[string]bool{p.ImportPath: true}
	var paths [][]string
	visit := func(before []string, imports []string) {
		for _, next := range imports {
			if !seen[next] {
				seen[next] = true
				paths = append(paths, append(slices.Clone(before), next))
			}
		}
	}
	visit(nil, first)
	for i := 0; r.deep && i < len(paths); i++ {
		path := paths[i]
		visit(path, g.imports[path[len(path)-1]])
	}
	return paths
}

// matches reports whether a package is one of the patterns.
func (g graph) matches(path string, patterns []string) bool {
	own, isOwn := strings.CutPrefix(path, g.module+"/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		switch pattern {
		case "*":
			return true
		case "own":
			return isOwn
		case "std":
			first, _, _ := strings.Cut(path, "/")
			return !isOwn && !strings.Contains(first, ".")
		}
		parent, below := strings.CutSuffix(pattern, "/...")
		return own == parent || below && strings.HasPrefix(own, parent+"/")
	})
}
