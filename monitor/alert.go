package monitor

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

const (
	statusFiring   = "firing"
	statusResolved = "resolved"
)

// An Alert is one thing to tell, in the form of Alertmanager's webhook. It is not
// changed once it is made: all channels share it.
type Alert struct {
	Status       string            `json:"status"` // firing or resolved
	Labels       map[string]string `json:"labels"` // alertname, severity, and task where it is about one: its identity
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // year 1 while it is firing
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"` // of the labels, as Alertmanager makes it
}

// Name is the alert's name.
func (a *Alert) Name() string { return a.Labels["alertname"] }

// Task is the id of the task that the alert is about, "" for none.
func (a *Alert) Task() string { return a.Labels["task"] }

// Severity is critical, warning or info.
func (a *Alert) Severity() string { return a.Labels["severity"] }

// once reports whether the alert is about a change, which ends as it begins.
func (a *Alert) once() bool { return a.Name() == statusChanged || a.Name() == primaryChanged }

func newAlert(name, severity, task string, at time.Time) *Alert {
	a := &Alert{
		Status: statusFiring, StartsAt: at.UTC().Round(0),
		Labels:      map[string]string{"alertname": name, "severity": severity},
		Annotations: map[string]string{},
	}
	if task != "" {
		a.Labels["task"] = task
	}
	a.Fingerprint = fingerprint(a.Labels)
	return a
}

// resolved is a as over.
func (a *Alert) resolved(at time.Time) *Alert {
	over := *a
	over.Status, over.EndsAt = statusResolved, at.UTC().Round(0)
	return &over
}

// fingerprint is Prometheus' own of a label set.
func fingerprint(labels map[string]string) string {
	set := model.LabelSet{}
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

// newConditionAlert is a condition of a task, firing since the wall clock's startsAt.
func newConditionAlert(c condition, m *memory, startsAt time.Time, limits Limits) *Alert {
	a := newAlert(c.name, c.severity, m.last.ID, startsAt)
	a.Annotations["summary"] = c.summary(&m.last)
	a.Annotations["description"] = c.description(m, limits)
	a.speaker(m.last.StatusTerm, m.last.Primary)
	return a
}

// newChangeAlert is a change of a task.
func newChangeAlert(task string, c change, at time.Time) *Alert {
	a := newAlert(c.alertname, Info, task, at)
	what := "The state"
	if c.alertname == primaryChanged {
		what = "The primary"
	}
	a.Annotations["summary"] = fmt.Sprintf("%s of %s: %s -> %s", what, task, orNone(c.from), orNone(c.to))
	text := fmt.Sprintf("%s of task %s has changed from %s to %s in term %d.", what, task, orNone(c.from), orNone(c.to), c.term)
	if c.reason != "" {
		text += " Reason: " + c.reason + "."
	}
	if c.unseen > 0 {
		text += fmt.Sprintf(" Before it, %d transitions unseen.", c.unseen)
	}
	a.Annotations["description"] = text
	a.Annotations["from"], a.Annotations["to"] = c.from, c.to
	a.speaker(c.term, c.serverID)
	return a
}

func (a *Alert) speaker(term int64, serverID string) {
	a.Annotations["term"], a.Annotations["server_id"] = strconv.FormatInt(term, 10), serverID
}

func newBlindAlert(trouble string, at time.Time) *Alert {
	a := newAlert(blind, Warning, "", at)
	a.Annotations["summary"] = "The monitor cannot read ZooKeeper"
	a.Annotations["description"] = "Nothing is known of any task until it can: " + trouble + "."
	return a
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
