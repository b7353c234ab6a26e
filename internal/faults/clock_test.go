//go:build faults

//faults:tools

package faults

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// ticker prints what its clock shows, and how long it believes to run, when it is told.
const ticker = `package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	began := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(time.Now().Round(0).Unix(), int64(time.Since(began)/time.Second))
	}
}
`

func TestClock(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"main.go": ticker, "go.mod": "module ticker\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "ticker")
	if err := BuildWithClock(t.Context(), dir, out); err != nil {
		t.Fatal(err)
	}
	clock := NewClock(filepath.Join(dir, "clock"))
	child := exec.Command(out)
	child.Env = append(os.Environ(), clock.Env())
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	shows, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	answers := bufio.NewScanner(shows)
	for _, step := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		if step != 0 { // the first answer shows that it listens
			if err := clock.Step(child.Process.Pid, step); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintln(in)
		if !answers.Scan() {
			t.Fatal("the program has ended")
		}
		var wall, runs int64
		if _, err := fmt.Sscan(answers.Text(), &wall, &runs); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.Unix(wall, 0)) - step; off.Abs() > 10*time.Second {
			t.Errorf("its wall clock is off by %s, want %s", off+step, step)
		}
		if runs > 60 {
			t.Errorf("it believes that it runs for %d s", runs)
		}
	}
}
