package main

import (
	"strings"
	"testing"
)

const aTest = "package p\n\nfunc TestIt(t *testing.T) {}\n"

func TestCheckTests(t *testing.T) {
	groups := []string{"source", "archive"}
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string // in the only line; "": there is none
	}{
		{"a unit test", map[string]string{"p/a_test.go": aTest}, ""},
		{"a path and a fixture", map[string]string{"p/a_test.go": "//go:build integration\n\n" + aTest, "p/b_test.go": "//go:build integration\n\npackage p\n"}, ""},
		{"a path in each of two packages", map[string]string{"p/a_test.go": "//go:build integration\n\n" + aTest, "q/a_test.go": "//go:build integration\n\n" + aTest}, ""},
		{"two paths", map[string]string{"p/a_test.go": "//go:build integration\n\n" + aTest, "p/b_test.go": "//go:build integration\n\n" + aTest}, "p/b_test.go: make test"},
		{"a test of faults", map[string]string{"p/a_test.go": "//go:build faults\n\n//faults:source\n\n" + aTest}, ""},
		{"one at full length", map[string]string{"p/a_test.go": "//go:build faults && soak\n\n//faults:source\n\n" + aTest}, ""},
		{"what those have in common", map[string]string{"p/a_test.go": "//go:build faults && !soak\n\npackage p\n"}, ""},
		{"no group", map[string]string{"p/a_test.go": "//go:build faults\n\n" + aTest}, "p/a_test.go names 0 groups"},
		{"two groups", map[string]string{"p/a_test.go": "//go:build faults\n\n//faults:source\n//faults:archive\n\n" + aTest}, "p/a_test.go names 2 groups"},
		{"an unknown group", map[string]string{"p/a_test.go": "//go:build faults\n\n//faults:sources\n\n" + aTest}, `no group "sources"`},
		{"a group without the constraint", map[string]string{"p/a_test.go": "//go:build integration\n\n//faults:source\n\n" + aTest}, "nobody runs it"},
	} {
		t.Run(test.name, func(t *testing.T) { wantLine(t, checkTests(test.files, groups), test.want) })
	}
}

func TestCheckNamed(t *testing.T) {
	files := map[string]string{"cmd/worker/a_test.go": aTest, "worker/source/b_test.go": "func FuzzIt(f *testing.F) {"}
	for text, want := range map[string]string{
		"`cw` is cmd/worker: cw.TestIt": "", "cmd/worker.TestIt": "", "source.FuzzIt": "", "nothing": "",
		"cw.TestIt": "names cw.TestIt", "`cw` is cmd/worker: cw.TestThat": "names cw.TestThat", "ource.FuzzIt": "names ource.FuzzIt",
	} {
		wantLine(t, checkNamed("d.md", text, files), want)
	}
}

// wantLine wants one line with a text in it, or none.
func wantLine(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
		t.Errorf("violations %q, want %q", got, want)
	}
}
