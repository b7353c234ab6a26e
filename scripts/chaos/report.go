package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// report prints what has struck, and what has become of it.
func report(w io.Writer, o options, t *tally, results []result, r *rig) {
	fmt.Fprintf(w, "\nseed %d, %s of faults, a MySQL and a %s\n\n", o.seed, o.length, o.mariadb)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "FAULT\tSTRUCK\tMISSED\t")
	var struck, missed int
	for _, k := range kinds {
		fmt.Fprintf(table, "%s\t%d\t%d\t\n", k.name, t.struck[k.name], t.missed[k.name])
		struck, missed = struck+t.struck[k.name], missed+t.missed[k.name]
	}
	fmt.Fprintf(table, "in all\t%d\t%d\t\n\n", struck, missed)
	fmt.Fprintln(table, "TASK\tTERMS\tCOMMITS\tBY HAND\tSEGMENTS\tFILES\tBYTES COMPARED\tDIFFERENCES\t")
	var bytes int64
	var differences int
	for _, res := range results {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", res.task, res.history.Terms, res.history.Commits, res.history.ByHand, res.segments, res.files, res.bytes, len(res.differences))
		bytes, differences = bytes+res.bytes, differences+len(res.differences)
	}
	table.Flush()
	fmt.Fprintln(w)
	for _, s := range r.sources {
		fmt.Fprintf(w, "%s: %d transactions committed, %d ended by an error\n", s.name, s.load.written.Load(), s.load.failed.Load())
	}
	for _, name := range slices.Sorted(maps.Keys(r.alerts.fired)) {
		fmt.Fprintf(w, "the monitor has fired %s %d times\n", name, r.alerts.fired[name])
	}
	fmt.Fprintf(w, "%d bytes compared, %d differences, %d problems\n", bytes, differences, r.log.problems())
	for _, problem := range r.log.wrong {
		fmt.Fprintln(w, "PROBLEM:", problem)
	}
}
