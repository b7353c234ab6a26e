package worker

import (
	"github.com/prometheus/client_golang/prometheus"
)

// A taskMetric is a metric with the label task, and another one or none.
type taskMetric struct {
	name, help string
	kind       prometheus.ValueType
	label      string                           // "" for none
	read       func(reading) map[string]float64 // by the label's value
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// taskMetrics are all metrics of a task. Their series exist from the moment at
// which the worker begins to serve the task, at 0, until the task is gone.
var taskMetrics = []taskMetric{
	{"task_role", "Whether this worker has that role in the task.", gauge, "role",
		func(r reading) map[string]float64 { return oneOf(roles, r.role) }},
	{"task_vanished", "Whether the task is gone from ZooKeeper without having been removed.", gauge, "",
		one(func(r reading) float64 { return number(r.vanished.Load()) })},
	{"task_state", "Whether the task is in that state, as its primary says. 0 on a standby.", gauge, "state",
		func(r reading) map[string]float64 { return oneOf(states, r.status.State) }},
	{"task_term", "The newest term that this worker has served.", gauge, "",
		one(func(r reading) float64 { return float64(r.status.Term) })},
	{"takeovers_total", "Terms that this worker has claimed.", counter, "",
		one(func(r reading) float64 { return float64(r.takeovers.Load()) })},
	{"source_connected", "Whether the dump is open and its source proven. 0 on a standby.", gauge, "",
		one(func(r reading) float64 { return number(r.open) })},
	{"reconnects_total", "Dumps begun in a term after its first.", counter, "",
		one(func(r reading) float64 { return float64(r.reconnects.Load()) })},
	{"received_bytes_total", "Bytes of binlog received from the source.", counter, "",
		one(func(r reading) float64 { return float64(r.flow.Received) })},
	{"received_events_total", "Events received from the source, counted by segment.", counter, "",
		one(func(r reading) float64 { return float64(r.flow.Events) })},
	{"last_received_timestamp_seconds", "When the source last sent something, heartbeats included, by this machine's clock.", gauge, "",
		one(func(r reading) float64 { return seconds(r.flow.LastHeard) })},
	{"last_event_timestamp_seconds", "Time of the last event received, by the source's clock.", gauge, "",
		one(func(r reading) float64 { return seconds(r.flow.LastEvent) })},
	{"durable_timestamp_seconds", "All that the source had written by then is archived; heartbeats advance it.", gauge, "",
		one(func(r reading) float64 { return seconds(r.status.DurableTime.Time) })},
	{"backlog_bytes", "Bytes from the archive's end to the source's. 0 on a standby.", gauge, "",
		one(func(r reading) float64 { return float64(r.status.BehindBytes) })},
	{"backlog_files", "Binlog files of the source after the one that is needed next. 0 on a standby.", gauge, "",
		one(func(r reading) float64 { return float64(r.files.Newer) })},
	{"source_purge_margin_files", "Binlog files that the source can purge before the one that is needed next. 0 on a standby.", gauge, "",
		one(func(r reading) float64 { return float64(r.files.Older) })},
	{"gaps_open", "Gaps that the archive's timelines record, as of this worker's last dump.", gauge, "",
		one(func(r reading) float64 { return float64(r.gapsOpen) })},
	{"gaps_detected_total", "Gaps that this worker has recorded in the archive, by the reason of the new timeline.", counter, "reason",
		func(r reading) map[string]float64 { return r.gaps.read() }},
	{"archive_bytes_total", "Bytes archived by this worker: raw, as in the binlog, and stored, as objects take them.", counter, "kind",
		func(r reading) map[string]float64 {
			return map[string]float64{"raw": float64(r.flow.Archived), "stored": float64(r.storedBytes.Load())}
		}},
	{"segments_written_total", "Segments archived by this worker.", counter, "",
		one(func(r reading) float64 { return float64(r.flow.Segments) })},
	{"checkpoints_total", "Checkpoints committed by this worker.", counter, "",
		one(func(r reading) float64 { return float64(r.checkpoints.Load()) })},
	{"fenced_writes_total", "Writes to ZooKeeper refused because another worker has taken over.", counter, "",
		one(func(r reading) float64 { return float64(r.fenced.Load()) })},
	{"errors_total", "What kept this worker from archiving, each attempt counted.", counter, "reason",
		func(r reading) map[string]float64 { return r.errors.read() }},
}

func one(value func(reading) float64) func(reading) map[string]float64 {
	return func(r reading) map[string]float64 { return map[string]float64{"": value(r)} }
}

// oneOf is 1 for the one that is, 0 for all others.
func oneOf(all []string, is string) map[string]float64 {
	values := map[string]float64{}
	for _, name := range all {
		values[name] = number(name == is)
	}
	return values
}

func (c counts) read() map[string]float64 {
	values := map[string]float64{}
	for reason, n := range c {
		values[reason] = float64(n.Load())
	}
	return values
}
