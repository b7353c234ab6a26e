package main

import (
	"fmt"
	"go/build/constraint"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)`)
	groupLine    = regexp.MustCompile(`(?m)^//faults:(.*)$`)
)

// checkTests returns a line for each file of tests that make test, make faults and make soak would run wrongly or not at
// all. files are the contents of the module's files of tests, by their paths; groups are those of scripts/faults.
func checkTests(files map[string]string, groups []string) []string {
	var violations []string
	paths := map[string]string{} // the file with the path of real servers, by package
	for _, file := range slices.Sorted(maps.Keys(files)) {
		content := files[file]
		tests, marks := testFunction.MatchString(content), groupLine.FindAllStringSubmatch(content, -1)
		switch tags := tagsOf(content); {
		case tags["faults"] && tests && len(marks) != 1:
			violations = append(violations, fmt.Sprintf("%s names %d groups, want one: //faults:GROUP on a line of its own, with one of %s", file, len(marks), strings.Join(groups, ", ")))
		case !tags["faults"] && len(marks) > 0:
			violations = append(violations, fmt.Sprintf("%s names a group and is not //go:build faults: nobody runs it there", file))
		case tags["integration"] && !tags["scale"] && tests:
			folder := path.Dir(file)
			if other := paths[folder]; other != "" {
				violations = append(violations, fmt.Sprintf("%s: make test runs one path with real servers for each package, here that of %s; "+
					"this is //go:build faults and //faults:GROUP, with one of %s", file, path.Base(other), strings.Join(groups, ", ")))
			} else {
				paths[folder] = file
			}
		}
		for _, mark := range marks {
			if !slices.Contains(groups, mark[1]) {
				violations = append(violations, fmt.Sprintf("%s: scripts/faults has no group %q, but %s", file, mark[1], strings.Join(groups, ", ")))
			}
		}
	}
	return violations
}

// tagsOf are the tags that a file's build constraint names.
func tagsOf(content string) map[string]bool {
	tags := map[string]bool{}
	for line := range strings.Lines(content) {
		if !constraint.IsGoBuild(line) {
			continue
		}
		if expression, err := constraint.Parse(strings.TrimSpace(line)); err == nil {
			expression.Eval(func(tag string) bool { tags[tag] = true; return true })
		}
	}
	return tags
}

var (
	namedTest    = regexp.MustCompile(`([\w/]+)\.((?:Test|Fuzz)\w+)`)
	abbreviation = regexp.MustCompile("`(\\w+)` is ([\\w/]+)")
)

// checkNamed returns a line for each test that a document names, as package.TestName, and that is not there. A package is
// its path or the end of that, or a word that the document explains: "`cw` is cmd/worker".
func checkNamed(document, text string, files map[string]string) []string {
	words := map[string]string{}
	for _, match := range abbreviation.FindAllStringSubmatch(text, -1) {
		words[match[1]] = match[2]
	}
	there := map[string]bool{}
	for file, content := range files {
		for _, match := range testFunction.FindAllStringSubmatch(content, -1) {
			there[path.Dir(file)+"."+match[1]] = true
		}
	}
	var violations []string
	for _, match := range namedTest.FindAllStringSubmatch(text, -1) {
		folder := match[1]
		if whole, ok := words[folder]; ok {
			folder = whole
		}
		found := slices.ContainsFunc(slices.Collect(maps.Keys(there)), func(test string) bool {
			return test == folder+"."+match[2] || strings.HasSuffix(test, "/"+folder+"."+match[2])
		})
		if !found {
			violations = append(violations, fmt.Sprintf("%s names %s, and there is no such test", document, match[0]))
		}
	}
	return violations
}
