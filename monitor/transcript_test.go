package monitor

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

var rewrite = flag.Bool("rewrite", false, "write what the transcripts in testdata say now")

// TestTranscripts plays each testdata/*.txt: what is seen, over time, and below it,
// indented, what is told. -rewrite writes what is told now.
//
//	opened TIMEOUT | lost | swept   of the session
//	list [ID...] [-ID...]           the tasks that there are; those that were removed
//	see ID key=value...             a look; what is not named is as before
//	wait DURATION                   seconds go by, with sweeps while all is well
//	hang DURATION                   seconds go by, and no sweep comes to its end
//	restart                         another process goes on, with the state file
//
// Keys of see: desired, line (server ids), state (as the primary says, several with >
// for what happens between two looks), times (that these are gone through), by,
// term, durable (s), behind, position, margin, reason, broken (the spec).
func TestTranscripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := newPlay(t).run(string(want))
			if *rewrite {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it tells otherwise:\n%s", got)
			}
		})
	}
}

// A play is a monitor without goroutines, in a time of its own.
type play struct {
	t          *testing.T
	monitor    *Monitor
	began, now time.Time
	tasks      map[string]*coord.TaskView
	out        bytes.Buffer
}

func newPlay(t *testing.T) *play {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &play{t: t, began: began, now: began, tasks: map[string]*coord.TaskView{}}
	p.monitor = p.newMonitor("")
	return p
}

func (p *play) newMonitor(stateFile string) *Monitor {
	p.t.Helper()
	m, err := New(Config{
		Limits: Limits{DurableMaxAge: time.Minute, StallAfter: time.Minute}, RepeatInterval: 4 * time.Hour,
		StateFile: stateFile, Logger: zerolog.Nop(),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	m.connectivity = newConnectivity(p.now)
	return m
}

func (p *play) run(script string) []byte {
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		p.out.WriteString(line)
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			p.step(words[0], words[1:])
		}
	}
	return p.out.Bytes()
}

func (p *play) step(verb string, args []string) {
	p.t.Helper()
	u := &update{p.monitor, p.now}
	switch verb {
	case "opened":
		u.opened(p.duration(args[0]))
	case "lost":
		u.lost(coord.ErrDisconnected)
	case "swept":
		u.swept()
	case "list":
		u.listed(listOf(args, p.now))
	case "see":
		u.saw(Observe(p.see(args[0], args[1:])))
	case "wait":
		p.wait(p.duration(args[0]), true)
	case "hang":
		p.wait(p.duration(args[0]), false)
	case "restart":
		path := filepath.Join(p.t.TempDir(), "state.json")
		p.monitor.cfg.StateFile = path
		if err := p.monitor.save(); err != nil {
			p.t.Fatal(err)
		}
		p.monitor = p.newMonitor(path)
	default:
		p.t.Fatalf("no verb %q", verb)
	}
	p.flush()
}

func listOf(args []string, now time.Time) coord.TaskList {
	var list coord.TaskList
	for _, id := range args {
		if removed, ok := strings.CutPrefix(id, "-"); ok {
			list.Removed.Add(removed, now)
		} else {
			list.IDs = append(list.IDs, id)
		}
	}
	return list
}

// wait lets seconds go by, in which all is seen again and again, as it is.
func (p *play) wait(d time.Duration, sweeps bool) {
	for n := range d / tickEvery {
		p.now = p.now.Add(tickEvery)
		u := &update{p.monitor, p.now}
		if sweeps && p.monitor.connectivity.clear() && n%(sweepEvery/tickEvery) == 0 {
			u.swept()
		}
		u.tick()
		p.flush()
	}
}

// flush writes what was told since the last time.
func (p *play) flush() {
	log := p.monitor.channels[0]
	alerts := log.pending()
	slices.SortStableFunc(alerts, func(a, b *Alert) int { return strings.Compare(a.Task(), b.Task()) })
	for _, a := range alerts {
		task := a.Task()
		if task == "" {
			task = "-"
		}
		fmt.Fprintf(&p.out, "  %s %s %s %s", p.now.Sub(p.began), task, a.Name(), a.Status)
		if a.once() {
			fmt.Fprintf(&p.out, " %q -> %q, term %s", a.Annotations["from"], a.Annotations["to"], a.Annotations["term"])
		}
		if _, text, found := strings.Cut(a.Annotations["description"], "Before it, "); found {
			fmt.Fprintf(&p.out, ": %s", text)
		}
		p.out.WriteByte('\n')
	}
	log.queue = nil
}

func (p *play) duration(text string) time.Duration {
	p.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *play) number(text string) int64 {
	p.t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// see changes a task's znodes as told, and gives them.
func (p *play) see(id string, args []string) coord.TaskView {
	p.t.Helper()
	view := p.tasks[id]
	if view == nil {
		view = &coord.TaskView{ID: id, Spec: zkpaths.Spec{Desired: zkpaths.Running}, Status: zkpaths.NewStatus(p.began)}
		p.tasks[id] = view
	}
	s := &view.Status
	by, term, times, reason, states := zkpaths.Place{Name: s.Instance, ServerID: s.ServerID}, s.Term, int64(1), "", ""
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "desired":
			view.Spec.Desired = value
		case "line":
			view.Line = nil
			for server := range strings.SplitSeq(value, ",") {
				if server != "" {
					view.Line = append(view.Line, coord.Member{Place: placeOf(server)})
				}
			}
		case "state":
			states = value
		case "times":
			times = p.number(value)
		case "by":
			by = placeOf(value)
		case "term":
			term = p.number(value)
		case "durable":
			s.DurableTime = zkpaths.At(time.Unix(p.number(value), 0))
		case "behind":
			s.BehindBytes = p.number(value)
		case "position":
			view.LastCommit.Position = p.number(value)
		case "margin":
			n := p.number(value)
			s.PurgeMargin = zkpaths.Margin{Files: max(n, 0), Known: n >= 0}
		case "reason":
			reason = value
		case "broken":
			view.SpecErr = &zkpaths.UnreadableError{Path: zkpaths.Task(id), Problem: "it is empty"}
			view.Spec = zkpaths.Spec{}
		case "mended":
			view.SpecErr, view.Spec.Desired = nil, zkpaths.Running
		case "uncounted":
			s.Changes, s.Transitions = 0, nil
		default:
			p.t.Fatalf("no key %q", name)
		}
	}
	for range times {
		for state := range strings.SplitSeq(states, ">") {
			if state != "" {
				*s = s.Say(state, by, term, p.now, reason, "", "")
			}
		}
	}
	return *view
}

func placeOf(server string) zkpaths.Place {
	return zkpaths.Place{Name: "server_" + server + "_0000000001", ServerID: server}
}
