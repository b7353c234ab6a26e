package worker

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "binkeeper"

// The operations of a store, and their results.
var (
	storeOperations = []string{"connect", "create", "open", "list", "sync", "delete", "sweep"}
	storeResults    = []string{"ok", "exists", "absent", "canceled", "error"}
)

// storeBuckets reach from a local folder's write to a store that hangs; s.
var storeBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// meters is what a worker shows at /metrics: docs/metrics.md describes all of it.
// A task's series are read from its taskMeter at each scrape, so that they cost nothing
// in between.
type meters struct {
	registry    *prometheus.Registry
	storeOps    *prometheus.CounterVec
	storeTime   *prometheus.HistogramVec
	expirations prometheus.Counter
	descs       []*prometheus.Desc // of taskMetrics

	mu     sync.Mutex
	byTask map[string]*taskMeter // by task
}

func newMeters(w *Worker) *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		storeOps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "storage_operations_total", Help: "Operations on archive stores.",
		}, []string{"store", "operation", "result"}),
		storeTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "storage_operation_duration_seconds", Buckets: storeBuckets,
			Help: "How long operations on archive stores took, whatever their result.",
		}, []string{"store", "operation"}),
		expirations: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "zookeeper_session_expirations_total", Help: "ZooKeeper sessions that the ensemble has expired.",
		}),
		byTask: map[string]*taskMeter{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1: which program this is.",
		ConstLabels: prometheus.Labels{"version": w.cfg.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "zookeeper_connected", Help: "Whether the worker has a ZooKeeper session and a connection.",
	}, func() float64 { return number(w.Ready() == nil) })
	for _, metric := range taskMetrics {
		labels := []string{"task"}
		if metric.label != "" {
			labels = append(labels, metric.label)
		}
		m.descs = append(m.descs, prometheus.NewDesc(namespace+"_"+metric.name, metric.help, labels, nil))
	}
	m.registry.MustRegister(build, connected, m.expirations, m.storeOps, m.storeTime, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// keep has one taskMeter for each of the tasks, and of those that have vanished: what is
// new begins at 0, what was removed is seen no more.
func (m *meters) keep(tasks, vanished map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.byTask, func(task string, _ *taskMeter) bool { return !tasks[task] && !vanished[task] })
	for task := range tasks {
		if m.byTask[task] == nil {
			m.byTask[task] = newTaskMeter()
		}
	}
	for task, t := range m.byTask {
		t.vanished.Store(vanished[task])
	}
}

// of returns a task's taskMeter. That of a task which is gone is not seen anywhere.
func (m *meters) of(task string) *taskMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.byTask[task]; t != nil {
		return t
	}
	return newTaskMeter()
}

// A taskReading is a reading with its task's id.
type taskReading struct {
	reading
	task string
}

// read returns a reading of every task, by their ids.
func (m *meters) read() []taskReading {
	m.mu.Lock()
	byTask := maps.Clone(m.byTask)
	m.mu.Unlock()
	var readings []taskReading
	for _, task := range slices.Sorted(maps.Keys(byTask)) {
		readings = append(readings, taskReading{byTask[task].read(), task})
	}
	return readings
}

// Describe is prometheus.Collector's.
func (m *meters) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range m.descs {
		descs <- d
	}
}

// Collect is prometheus.Collector's.
func (m *meters) Collect(series chan<- prometheus.Metric) {
	for _, r := range m.read() {
		for i, metric := range taskMetrics {
			for label, value := range metric.read(r.reading) {
				labels := []string{r.task}
				if metric.label != "" {
					labels = append(labels, label)
				}
				series <- prometheus.MustNewConstMetric(m.descs[i], metric.kind, value, labels...)
			}
		}
	}
}

func (m *meters) sessionEnded(err error) {
	if errors.Is(err, coord.ErrExpired) || errors.Is(err, coord.ErrSessionChanged) {
		m.expirations.Inc()
	}
}

// knowStore makes all series of a kind of store exist.
func (m *meters) knowStore(scheme string) {
	for _, operation := range storeOperations {
		m.storeTime.WithLabelValues(scheme, operation)
		for _, result := range storeResults {
			m.storeOps.WithLabelValues(scheme, operation, result)
		}
	}
}

func (m *meters) storeDid(scheme, operation string, took time.Duration, err error) {
	m.storeOps.WithLabelValues(scheme, operation, storeResult(err)).Inc()
	m.storeTime.WithLabelValues(scheme, operation).Observe(took.Seconds())
}

func storeResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, archive.ErrExist):
		return "exists"
	case errors.Is(err, archive.ErrNotExist):
		return "absent"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	}
	return "error"
}

// storeScheme is the kind of store that a URL names, one of a few words whatever
// stands there.
func storeScheme(url string) string {
	scheme, _, _ := strings.Cut(url, "://")
	switch scheme = strings.ToLower(scheme); {
	case scheme == "file", scheme == "s3":
		return scheme
	case filepath.IsAbs(url):
		return "file"
	}
	return "other"
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is t as Prometheus has times; 0 when it is not known.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / float64(time.Second)
}
