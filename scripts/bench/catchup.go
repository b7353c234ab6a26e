package main

import (
	"context"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"
)

// A group is rows of the table that are measured together.
type group struct {
	name    string
	measure func(s *scene, ctx context.Context) error
}

var groups = []group{
	{"small", (*scene).catchUpSmall},
	{"bulk", (*scene).catchUpBulk},
	{"memory", (*scene).largeEvents},
	{"tls", (*scene).overTLS},
	{"reading", (*scene).reading},
	{"latency", (*scene).latency},
	{"takeover", (*scene).takeovers},
	{"idle", (*scene).idle},
	{"library", (*scene).theLibrary},
}

func groupNames() string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return strings.Join(names, ", ")
}

const (
	plainQuery = "?ssl-mode=disabled&get-server-public-key=true"
	tlsQuery   = "?ssl-mode=required"
	mostMemory = 128 << 20
)

// recipes of the backlogs, in full and for a quick run.
func (s *scene) smallRecipe() recipe {
	if s.quick {
		return smallRecipe(640_000)
	}
	return smallRecipe(1_600_000)
}

func (s *scene) bulkRecipe() recipe {
	if s.quick {
		return rowsRecipe("bulk", 400, 1_000_000, document)
	}
	return rowsRecipe("bulk", 1200, 1_000_000, document)
}

// largeRecipe makes events of the size of a segment.
func (s *scene) largeRecipe(name string, body func(*rand.Rand, int) []byte) recipe {
	if s.quick {
		return rowsRecipe(name, 25, 8_380_000, body)
	}
	return rowsRecipe(name, 60, 8_380_000, body)
}

func (s *scene) catchUpSmall(ctx context.Context) error {
	b, err := s.backlog(ctx, s.smallRecipe())
	if err != nil {
		return err
	}
	got, err := alternate(ctx, s.runs, s.worker(b, plainQuery), b.mysqlbinlog("DISABLED", s.out()), b.loop(plainQuery))
	if err != nil {
		return err
	}
	worker, vendor, loop := got[0], got[1], got[2]
	what := b.what()
	r := &s.report
	r.ratio(what+"catching up", seconds(worker.took()), "mysqlbinlog --raw "+seconds(vendor.took()), over(vendor.took(), worker.took()), 3)
	r.ratio(what+"catching up", seconds(worker.took()), "own loop, thrown away "+seconds(loop.took()), over(loop.took(), worker.took()), 0.8)
	r.ratio(what+"CPU", seconds(worker.cpu()), "mysqlbinlog --raw "+seconds(vendor.cpu()), over(vendor.cpu(), worker.cpu()), 2)
	s.peak(what+"peak memory", worker)
	return nil
}

func (s *scene) catchUpBulk(ctx context.Context) error {
	b, err := s.backlog(ctx, s.bulkRecipe())
	if err != nil {
		return err
	}
	got, err := alternate(ctx, s.runs, s.worker(b, plainQuery), b.tools(s.out()), b.mysqlbinlog("DISABLED", s.out()))
	if err != nil {
		return err
	}
	worker, tools, vendor := got[0], got[1], got[2]
	what := b.what()
	r := &s.report
	r.ratio(what+"catching up", seconds(worker.took()), "mysqlbinlog --raw; zstd -1 -T0; sync "+seconds(tools.took()), over(tools.took(), worker.took()), 1.3)
	r.ratio(what+"catching up", seconds(worker.took()), "mysqlbinlog --raw alone "+seconds(vendor.took()), over(vendor.took(), worker.took()), 0)
	s.peak(what+"peak memory", worker)
	return s.limits(ctx, b, worker.took())
}

// largeEvents is the memory of a worker in the worst case that the bound allows.
func (s *scene) largeEvents(ctx context.Context) error {
	for _, large := range []struct {
		recipe recipe
		what   string
	}{
		{s.largeRecipe("large", document), "events of a segment's size: peak memory"},
		{s.largeRecipe("noise", noise), "events of a segment's size that do not compress: peak memory"},
	} {
		b, err := s.backlog(ctx, large.recipe)
		if err != nil {
			return err
		}
		got, err := alternate(ctx, s.runs, s.worker(b, plainQuery))
		if err != nil {
			return err
		}
		s.peak(large.what, got[0])
	}
	return nil
}

// peak adds a row of the most memory that any of a worker's runs has taken.
func (s *scene) peak(what string, runs samples) {
	s.report.limit(what, mib(runs.peak()), "128 MiB", runs.peak() <= mostMemory)
}

// syncDisk writes all that is to be written, so that no contender pays for another one.
func syncDisk() { unix.Sync() }
