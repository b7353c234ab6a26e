package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestStopDetached(t *testing.T) {
	dir := t.TempDir()
	p, err := StartProgram(t.Context(), ProgramOptions{
		Name: "script", Dir: dir, Command: []string{"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"}, Detach: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	await(t, func() bool { log, _ := os.ReadFile(p.Log()); return len(log) > 0 })

	if got, err := FindDetached(dir); got != p.Pid() || err != nil {
		t.Errorf("FindDetached = %d, %v, want %d", got, err, p.Pid())
	}
	if stopped, err := StopDetached(dir); !stopped || err != nil {
		t.Errorf("StopDetached = %t, %v, want true", stopped, err)
	}
	await(t, func() bool { return !p.Running() })
	if got := p.ExitCode(); got != 7 {
		t.Errorf("exit code %d, want 7: it was not ended in order", got)
	}
	if stopped, err := StopDetached(dir); stopped || err != nil {
		t.Errorf("StopDetached again = %t, %v, want false", stopped, err)
	}
}

func TestStopDetachedLeavesOthersAlone(t *testing.T) {
	self := os.Getpid()
	tests := []struct {
		name    string
		pidFile string // none if empty
		wantErr bool
	}{
		{name: "nothing was started"},
		{name: "the id is another process's now", pidFile: fmt.Sprintf("%d 1\n", self)},
		{name: "it ended at once", pidFile: strconv.Itoa(self) + " " + birth(1<<30) + "\n"},
		{name: "cut off", pidFile: strconv.Itoa(self) + "\n", wantErr: true},
		{name: "empty", pidFile: "\n", wantErr: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.pidFile != "" {
				if err := os.WriteFile(filepath.Join(dir, pidFileName), []byte(test.pidFile), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			stopped, err := StopDetached(dir)
			if stopped || (err != nil) != test.wantErr {
				t.Errorf("StopDetached = %t, %v, want false, error %t", stopped, err, test.wantErr)
			}
		})
	}
}
