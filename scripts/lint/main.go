// Command lint checks what the standard tools do not: that the packages of this module import each other only the
// way that the design allows. It runs from the module's folder, prints each import that breaks a rule, and then
// exits with 1.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	packages, err := list("-tags", "integration", "./...")
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
	violations := check(packages)
	for _, v := range violations {
		fmt.Println(v)
	}
	if len(violations) > 0 {
		os.Exit(1)
	}
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
