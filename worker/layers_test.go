package worker

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are the package's files of loops and decisions, from the top down. What is declared in one of them names nothing
// that is declared in a layer above, but for the exceptions.
var layers = [][]string{
	{"worker.go"},
	{"fleet.go", "served.go"},
	{"member.go", "claim.go", "crash.go"},
	{"term.go", "archiving.go", "report.go", "owner.go", "watchdog.go"},
	{"attempts.go", "decide.go"},
}

// exceptions are the types by which a layer names its parent's, by the layer's number: the children hold their parents still.
// round.go has parts of three layers and is in none.
var exceptions = map[int][]string{1: {"Worker"}, 2: {"Worker"}, 3: {"member"}}

// unimported has every import fail: only what the package itself declares is looked at.
type unimported struct{}

func (unimported) Import(path string) (*types.Package, error) { return nil, errors.New("not imported") }

// TestLayers fails when a file names what a higher layer declares, and when an exception is needed no more.
func TestLayers(t *testing.T) {
	set, layerOf := token.NewFileSet(), map[string]int{}
	var files []*ast.File
	for layer, names := range layers {
		for _, name := range names {
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files, layerOf[name] = append(files, file), layer
		}
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: unimported{}, Error: func(error) {}}
	pkg, _ := config.Check("worker", set, files, &info)
	used := make([]map[string]bool, len(layers))
	for ident, object := range info.Uses {
		if object.Parent() != pkg.Scope() {
			continue
		}
		at := set.Position(ident.Pos())
		layer := layerOf[at.Filename]
		switch above := layerOf[set.Position(object.Pos()).Filename]; {
		case above >= layer:
		case !slices.Contains(exceptions[layer], ident.Name):
			t.Errorf("%s: %s is of a higher layer", at, ident.Name)
		case used[layer] == nil:
			used[layer] = map[string]bool{ident.Name: true}
		default:
			used[layer][ident.Name] = true
		}
	}
	for layer, names := range exceptions {
		for _, name := range names {
			if !used[layer][name] {
				t.Errorf("the layer of %s names %s no more: take the exception away", layers[layer][0], name)
			}
		}
	}
}

// Every file of the package that is no test stands in a layer, or is known to stand in none.
func TestEveryFileHasALayer(t *testing.T) {
	loose := []string{"doc.go", "round.go", "health.go", "metered.go", "metrics.go", "metrics_task.go", "task_meter.go"}
	all := slices.Concat(append(slices.Clone(layers), loose)...)
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") && !slices.Contains(all, name) {
			t.Errorf("%s stands in no layer", name)
		}
	}
}
