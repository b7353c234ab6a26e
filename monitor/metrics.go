package monitor

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"binkeeper/zkpaths"
)

const namespace = "binkeeper"

// stateUnknown stands for a task whose state cannot be read.
const stateUnknown = "unknown"

var states = []string{zkpaths.StateStopped, zkpaths.StateStarting, zkpaths.StateRunning, zkpaths.StateBlocked, zkpaths.StatePaused, stateUnknown, zkpaths.ReasonVanished}

// A reading is what a scrape shows of the monitor's tasks and alerts.
type reading struct {
	connected bool
	scanned   float64        // s since 1970; 0: never
	states    map[string]int // tasks by state
	instances map[string]int // by task
	vanished  map[string]bool
	firing    map[[2]string]int
	queues    map[string]int // by channel
}

// meters is what a monitor shows at /metrics: docs/metrics.md describes all of it.
type meters struct {
	registry      *prometheus.Registry
	notifications *prometheus.CounterVec
	drops         *prometheus.CounterVec
	lastSuccess   *prometheus.GaugeVec
	read          func() reading
	descs         struct{ connected, scanned, tasks, instances, vanished, firing, queue *prometheus.Desc }
}

func newMeters(version string, read func() reading) *meters {
	m := &meters{
		registry: prometheus.NewRegistry(), read: read,
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "notifications_total", Help: "Attempts to deliver an alert.",
		}, []string{"channel", "result"}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "notifications_dropped_total", Help: "Alerts that a channel has given up, undelivered.",
		}, []string{"channel"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "notification_last_success_timestamp_seconds", Help: "When a channel last delivered; 0: never.",
		}, []string{"channel"}),
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	m.descs.connected = desc("zookeeper_connected", "Whether the monitor can read ZooKeeper.")
	m.descs.scanned = desc("monitor_last_scan_timestamp_seconds", "When the monitor last finished a look at every task; 0: never.")
	m.descs.tasks = desc("tasks", "Tasks by state.", "state")
	m.descs.instances = desc("task_instances", "Workers that stand in the task's line.", "task")
	m.descs.vanished = desc("task_vanished", "Whether the task is gone from ZooKeeper without having been removed.", "task")
	m.descs.firing = desc("alerts_active", "Alerts that fire.", "alertname", "severity")
	m.descs.queue = desc("notification_queue_length", "Alerts that wait for delivery.", "channel")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1: which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(build, m.notifications, m.drops, m.lastSuccess, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// knowChannel makes all series of a channel exist.
func (m *meters) knowChannel(name string) {
	for _, result := range []string{"ok", "error"} {
		m.notifications.WithLabelValues(name, result)
	}
	m.drops.WithLabelValues(name)
	m.lastSuccess.WithLabelValues(name)
}

func (m *meters) attempted(channel string, err error) {
	if err != nil {
		m.notifications.WithLabelValues(channel, "error").Inc()
		return
	}
	m.notifications.WithLabelValues(channel, "ok").Inc()
	m.lastSuccess.WithLabelValues(channel).SetToCurrentTime()
}

func (m *meters) dropped(channel string) { m.drops.WithLabelValues(channel).Inc() }

// Describe is prometheus.Collector's.
func (m *meters) Describe(descs chan<- *prometheus.Desc) {
	d := m.descs
	for _, desc := range []*prometheus.Desc{d.connected, d.scanned, d.tasks, d.instances, d.vanished, d.firing, d.queue} {
		descs <- desc
	}
}

// Collect is prometheus.Collector's.
func (m *meters) Collect(series chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		series <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	r := m.read()
	connected := 0.0
	if r.connected {
		connected = 1
	}
	gauge(m.descs.connected, connected)
	gauge(m.descs.scanned, r.scanned)
	for _, state := range states {
		gauge(m.descs.tasks, float64(r.states[state]), state)
	}
	for task, n := range r.instances {
		gauge(m.descs.instances, float64(n), task)
		vanished := 0.0
		if r.vanished[task] {
			vanished = 1
		}
		gauge(m.descs.vanished, vanished, task)
	}
	for _, c := range conditions {
		gauge(m.descs.firing, float64(r.firing[[2]string{c.name, c.severity}]), c.name, c.severity)
	}
	gauge(m.descs.firing, float64(r.firing[[2]string{blind, Warning}]), blind, Warning)
	for channel, n := range r.queues {
		gauge(m.descs.queue, float64(n), channel)
	}
}
