package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"binkeeper/internal/coord"
	"binkeeper/monitor"
	"binkeeper/zkpaths"
)

// A taskRow is a task as task list shows it, which is as the monitor's API does.
type taskRow = monitor.Row

// newTaskRow shows the task in view. Where a payload cannot be read, the state
// is "" and the reason says which.
func newTaskRow(id string, view coord.TaskView) taskRow {
	view.ID = id
	return monitor.Observe(view).Row
}

// places are the instances in a task's line, first in line first.
func places(view coord.TaskView) []zkpaths.Place {
	list := make([]zkpaths.Place, len(view.Line))
	for i, m := range view.Line {
		list[i] = m.Place
	}
	return list
}

// summary says in words how a task is.
func summary(view coord.TaskView) string {
	row := newTaskRow("", view)
	text := "state " + cell(row.State)
	if row.Primary != "" {
		text += ", primary " + row.Primary
	}
	if len(view.Line) == 0 {
		text += ", no worker"
	}
	if row.Reason != "" {
		text += ": " + row.Reason
	}
	return text
}

// A taskDetail is a task as task show shows it.
type taskDetail struct {
	Format int `json:"format"`
	taskRow
	Detail      string               `json:"detail"`      // the error behind the reason, in words
	SeenServer  string               `json:"seen_server"` // to whom an answer to a block is given
	Findings    []zkpaths.Finding    `json:"findings"`    // which workers found a block, at their hosts
	Spec        *zkpaths.Spec        `json:"spec"`        // null when unreadable, as last_commit
	Instances   []instanceRow        `json:"instances"`
	LastCommit  *zkpaths.LastCommit  `json:"last_commit"`
	Transitions []zkpaths.Transition `json:"transitions"`
}

// An instanceRow is one place in the line, first in line first. Without a
// readable payload all but name and server_id is empty.
type instanceRow struct {
	Name      string       `json:"name"`
	ServerID  string       `json:"server_id"`
	Host      string       `json:"host"`
	PID       int          `json:"pid"`
	Version   string       `json:"version"`
	StartedAt zkpaths.Time `json:"started_at"`
}

func newTaskDetail(id string, view coord.TaskView) taskDetail {
	d := taskDetail{
		Format: outputFormat, taskRow: newTaskRow(id, view), Detail: view.Status.Detail, SeenServer: view.Status.SeenServer,
		Findings: append([]zkpaths.Finding{}, view.Status.Findings...), Instances: []instanceRow{}, Transitions: transitions(view),
	}
	if view.SpecErr == nil {
		d.Spec = &view.Spec
	}
	if view.LastCommitErr == nil {
		d.LastCommit = &view.LastCommit
	}
	for _, m := range view.Line {
		i := m.Instance
		d.Instances = append(d.Instances, instanceRow{m.Place.Name, m.Place.ServerID, i.Host, i.PID, i.Version, i.StartedAt})
	}
	return d
}

type listOutput struct {
	Format int       `json:"format"`
	Tasks  []taskRow `json:"tasks"`
}

func (l listOutput) rows() [][]string {
	rows := [][]string{{"TASK", "STATE", "DESIRED", "PRIMARY", "STANDBYS", "SOURCE", "DURABLE TO", "BEHIND", "POSITION", "REASON"}}
	for _, t := range l.Tasks {
		rows = append(rows, []string{t.ID, t.State, t.Desired, t.Primary, strings.Join(t.Standbys, ","), host(t.Source),
			when(t.DurableTime), size(t.BehindBytes), at(t.File, t.Position), t.Reason})
	}
	return rows
}

// rows of one task are one fact each.
func (d taskDetail) rows() [][]string {
	rows := [][]string{
		{"task", d.ID}, {"state", d.State}, {"desired", d.Desired}, {"reason", d.Reason}, {"detail", d.Detail}, {"seen server", d.SeenServer}, {"hint", d.Hint},
		{"primary", d.Primary}, {"standbys", strings.Join(d.Standbys, ",")},
		{"source", d.Source}, {"archive", d.Archive},
		{"durable to", when(d.DurableTime)}, {"behind", size(d.BehindBytes)},
		{"term", strconv.FormatInt(d.Term, 10)}, {"timeline", strconv.FormatInt(d.Timeline, 10)}, {"position", at(d.File, d.Position)},
	}
	if c := d.LastCommit; c != nil {
		rows = append(rows, []string{"gtid set", c.GTIDSet}, []string{"committed", when(c.CommittedAt)})
	}
	if s := d.Spec; s != nil {
		rows = append(rows, []string{"password", s.PasswordRef}, []string{"start", s.Start}, []string{"segment size", size(s.SegmentSize)},
			[]string{"flush interval", s.FlushInterval.String()}, []string{"checkpoint interval", s.CheckpointInterval.String()},
			[]string{"task uid", s.TaskUID}, []string{"replica", fmt.Sprintf("%s, server id %d", s.ReplicaUUID, s.ReplicaServerID)}, []string{"created", when(s.CreatedAt)})
	}
	for _, f := range d.Findings {
		rows = append(rows, []string{"found", fmt.Sprintf("%s by server %s, %s", f.Reason, f.ServerID, cell(when(f.At)))})
	}
	for _, i := range d.Instances {
		rows = append(rows, []string{"instance", fmt.Sprintf("%s on %s, pid %d, version %s, since %s", i.Name, cell(i.Host), i.PID, cell(i.Version), cell(when(i.StartedAt)))})
	}
	return rows
}

// host is a source's host and port.
func host(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return ""
	}
	return u.Host
}
