// Command lint checks what the standard tools do not: that the packages of this module import each other only the
// way that the design allows, that every test is run by make test or belongs to a group of make faults, and that the tests
// which docs/reliability.md names are there. It runs from the module's folder, prints what breaks a rule, and then exits
// with 1.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	violations, err := lint()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
	for _, v := range violations {
		fmt.Println(v)
	}
	if len(violations) > 0 {
		os.Exit(1)
	}
}

func lint() ([]string, error) {
	packages, err := list("-tags", "integration,faults,soak", "./...")
	if err != nil {
		return nil, err
	}
	files, err := testFiles()
	if err != nil {
		return nil, err
	}
	groups, err := exec.Command("scripts/faults", "--groups").Output()
	if err != nil {
		return nil, fmt.Errorf("scripts/faults --groups: %w", err)
	}
	const named = "docs/reliability.md"
	text, err := os.ReadFile(named)
	if err != nil {
		return nil, err
	}
	return slices.Concat(check(packages), checkTests(files, strings.Fields(string(groups))), checkNamed(named, string(text), files)), nil
}

// testFiles reads the module's files of tests, by their paths.
func testFiles() (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	return files, err
}

// list returns the packages that go list finds with the arguments.
func list(args ...string) ([]source, error) {
	args = append([]string{"list", "-e", "-json=ImportPath,Module,Imports,TestImports,XTestImports"}, args...)
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var packages []source
	for decoder := json.NewDecoder(stdout); ; {
		var p source
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("read go list's output: %w", err), cmd.Wait())
		}
		packages = append(packages, p)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	return packages, nil
}
