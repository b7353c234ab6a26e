package worker

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/archive/storetest"
	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// newMeteredWorker returns a worker that serves tasks, without a ZooKeeper.
func newMeteredWorker(t *testing.T, tasks ...string) *Worker {
	t.Helper()
	w, err := New(Config{ServerID: "1", Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	serve(w, tasks...)
	return w
}

func serve(w *Worker, tasks ...string) {
	wanted := map[string]bool{}
	for _, task := range tasks {
		wanted[task] = true
	}
	w.meters.keep(wanted, nil)
}

// scrape returns the series of what is Binkeeper's, as name{label="value",...}.
func scrape(t *testing.T, w *Worker) map[string]float64 {
	t.Helper()
	families, err := w.meters.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), namespace) {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			series[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return series
}

func ofTask(series map[string]float64, task string) map[string]float64 {
	found := maps.Clone(series)
	maps.DeleteFunc(found, func(name string, _ float64) bool { return !strings.Contains(name, `task="`+task+`"`) })
	return found
}

func check(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if is, ok := got[name]; !ok || is != value {
			t.Errorf("%s is %v (there: %t), want %v", name, is, ok, value)
		}
	}
}

func TestSeriesOfATask(t *testing.T) {
	w := newMeteredWorker(t, "orders", "users")
	orders := ofTask(scrape(t, w), "orders")
	for _, metric := range taskMetrics {
		var found bool
		for name := range orders {
			found = found || strings.HasPrefix(name, namespace+"_"+metric.name+"{")
		}
		if !found {
			t.Errorf("a task that nothing has happened to has no %s", metric.name)
		}
	}
	for name, value := range orders {
		if value != 0 {
			t.Errorf("%s begins at %v, want 0", name, value)
		}
	}
	before := w.meters.of("orders")
	before.errors.add(dump.ReasonStore)
	serve(w, "orders") // as a new session does
	series := scrape(t, w)
	check(t, series, map[string]float64{`binkeeper_errors_total{reason="store-away",task="orders"}`: 1})
	if users := ofTask(series, "users"); len(users) != 0 {
		t.Errorf("a task that is gone has %d series", len(users))
	}
	serve(w)
	before.errors.add(dump.ReasonStore) // what has not ended yet
	serve(w, "orders")
	check(t, scrape(t, w), map[string]float64{`binkeeper_errors_total{reason="store-away",task="orders"}`: 0})
}

func TestMetricsPassLint(t *testing.T) {
	w := newMeteredWorker(t, "orders")
	w.meters.knowStore("file")
	problems, err := testutil.GatherAndLint(w.meters.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

var documentedRow = regexp.MustCompile("(?m)^\\| `(binkeeper_[a-z_]+)` \\| ([a-z]+) \\| ([a-z`, ]*)\\|")

func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Worker\n")
	if !found {
		t.Fatal("docs/metrics.md has no section Worker")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, row := range documentedRow.FindAllStringSubmatch(section, -1) {
		labels := strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		slices.Sort(labels)
		documented[row[1]] = row[2] + " of " + strings.Join(labels, ",")
	}
	w := newMeteredWorker(t, "orders")
	w.meters.knowStore("file")
	families, err := w.meters.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	registered := map[string]string{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), namespace) {
			continue
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		registered[family.GetName()] = strings.ToLower(family.GetType().String()) + " of " + strings.Join(labels, ",")
	}
	for name, is := range registered {
		if documented[name] != is {
			t.Errorf("%s is a %s; docs/metrics.md has it as %q", name, is, documented[name])
		}
	}
	for name := range documented {
		if registered[name] == "" {
			t.Errorf("docs/metrics.md has %s, the worker has not", name)
		}
	}
}

// Every reason of a block must be among those that are counted from 0.
func TestEveryReasonOfABlockIsCounted(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../zkpaths/status.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found int
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Blocked") {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if found++; !slices.Contains(errorReasons, reason) {
			t.Errorf("%s (%q) is not counted", spec.Names[0].Name, reason)
		}
		return true
	})
	if found < 9 {
		t.Errorf("only %d reasons found in zkpaths", found)
	}
}

func TestErrorsAreCountedByReason(t *testing.T) {
	storeErr := &archive.StoreError{Store: "file:///x", Op: "open", Err: errors.New("stale")}
	tests := []struct {
		name   string
		count  func(*taskMeter)
		reason string
	}{
		{"source", func(y *taskMeter) { y.ended(dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonSource}) }, "source-away"},
		{"store", func(y *taskMeter) { y.ended(dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonStore}) }, "store-away"},
		{"conflict", func(y *taskMeter) { y.ended(dump.Ending{Kind: dump.EndedByConflict}) }, "conflict"},
		{"cut off", func(y *taskMeter) { y.ended(dump.Ending{Kind: dump.EndedCutOff}) }, "coordination"},
		{"blocked", func(y *taskMeter) { y.ended(dump.Ending{Kind: dump.EndedBlocked, Reason: zkpaths.BlockedPurged}) }, "purged"},
		{"claim", func(y *taskMeter) { y.erred(coord.ErrLost) }, "coordination"},
		{"claim, blocked", func(y *taskMeter) { y.erred(dump.Blocked(zkpaths.BlockedBadSpec, errors.New("p"), "h")) }, "bad-spec"},
		{"rebuild", func(y *taskMeter) { y.erred(storeErr) }, "store-away"},
		{"unknown", func(y *taskMeter) { y.errors.add("never heard of") }, "other"},
	}
	for _, test := range tests {
		y := newTaskMeter()
		test.count(y)
		for reason, n := range y.errors {
			if want := number(reason == test.reason); float64(n.Load()) != want {
				t.Errorf("%s: %d counted as %q, want %v", test.name, n.Load(), reason, want)
			}
		}
	}
	y := newTaskMeter()
	y.ended(dump.Ending{})
	y.ended(dump.Ending{Kind: dump.EndedFenced})
	y.wrote(coord.ErrFenced)
	y.wrote(nil)
	if got := y.fenced.Load(); got != 2 {
		t.Errorf("%d fenced writes, want 2", got)
	}
}

// figuresOfADump are those of one that is open.
type figuresOfADump struct {
	flow   dump.Flow
	files  dump.SourceFiles
	status zkpaths.Status
}

func (f figuresOfADump) Flow() dump.Flow               { return f.flow }
func (f figuresOfADump) SourceFiles() dump.SourceFiles { return f.files }
func (f figuresOfADump) IsOpen() bool                  { return true }
func (f figuresOfADump) Describe(s *zkpaths.Status) {
	s.File, s.Position, s.BehindBytes, s.DurableTime = f.status.File, f.status.Position, f.status.BehindBytes, f.status.DurableTime
}

func TestSeriesFollowTheDumps(t *testing.T) {
	w := newMeteredWorker(t, "orders")
	y := w.meters.of("orders")
	y.become(roleStandby)
	y.claimed(zkpaths.Status{State: zkpaths.StateStarting, Term: 7})
	event := time.Unix(1_800_000_000, 0)
	one := figuresOfADump{
		flow:   dump.Flow{Received: 60, Events: 3, Archived: 60, Segments: 1, LastEvent: event},
		files:  dump.SourceFiles{Older: 1, Newer: 2},
		status: zkpaths.Status{File: "bin.000010", Position: 100, BehindBytes: 305, DurableTime: zkpaths.At(event)},
	}
	const task = `{task="orders"}`
	y.begin(one)
	open := map[string]float64{
		"binkeeper_source_connected" + task: 1, "binkeeper_received_bytes_total" + task: 60, "binkeeper_received_events_total" + task: 3,
		"binkeeper_segments_written_total" + task: 1, `binkeeper_archive_bytes_total{kind="raw",task="orders"}`: 60,
		"binkeeper_backlog_bytes" + task: 305, "binkeeper_backlog_files" + task: 2, "binkeeper_source_purge_margin_files" + task: 1,
		"binkeeper_durable_timestamp_seconds" + task: 1.8e9, "binkeeper_last_event_timestamp_seconds" + task: 1.8e9,
		`binkeeper_task_role{role="primary",task="orders"}`: 1, `binkeeper_task_role{role="standby",task="orders"}`: 0,
		`binkeeper_task_state{state="starting",task="orders"}`: 1, "binkeeper_takeovers_total" + task: 1, "binkeeper_task_term" + task: 7,
	}
	check(t, scrape(t, w), open)

	y.end()
	ended := maps.Clone(open) // nothing is lost, doubled or forgotten
	ended["binkeeper_source_connected"+task] = 0
	check(t, scrape(t, w), ended)

	y.begin(one)
	y.end()
	check(t, scrape(t, w), map[string]float64{"binkeeper_received_bytes_total" + task: 120, "binkeeper_received_events_total" + task: 6, "binkeeper_segments_written_total" + task: 2})

	y.become(roleStandby)
	check(t, scrape(t, w), map[string]float64{
		"binkeeper_backlog_bytes" + task: 0, "binkeeper_backlog_files" + task: 0, "binkeeper_source_purge_margin_files" + task: 0,
		`binkeeper_task_state{state="starting",task="orders"}`: 0, `binkeeper_task_role{role="standby",task="orders"}`: 1,
		"binkeeper_durable_timestamp_seconds" + task: 1.8e9, "binkeeper_task_term" + task: 7, "binkeeper_received_bytes_total" + task: 120,
	})
}

func TestGapsAreCounted(t *testing.T) {
	y := newTaskMeter()
	gap := archive.Timeline{Reason: archive.ReasonGap, Gap: &archive.Gap{}}
	y.sawTimelines([]archive.Timeline{{Reason: archive.ReasonFirst}, gap})
	y.began(archive.Timeline{Reason: archive.ReasonOtherSource}) // without a gap
	y.began(gap)
	if got := y.read().gapsOpen; got != 2 {
		t.Errorf("%d gaps open, want 2", got)
	}
	if got := y.gaps["gap"].Load() + 10*y.gaps["other-source"].Load(); got != 1 {
		t.Errorf("gaps detected: %d, want 1", got)
	}
}

func TestStoresAreMeasured(t *testing.T) {
	w := newMeteredWorker(t, "orders")
	dir := t.TempDir()
	inner, err := dirstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.OpenStore = func(url string) (archive.Store, error) {
		if url == "/gone" {
			return nil, &archive.StoreError{Store: url, Op: "open", Err: os.ErrNotExist}
		}
		return inner, nil
	}
	m := &member{w: w, meter: w.meters.of("orders")}
	steps := 0
	step := func() { steps++ }
	if _, err := m.openStore("/gone", step); err == nil {
		t.Fatal("no error of a store that is gone")
	}
	store, err := m.openStore("file://"+dir, step)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Create(t.Context(), "a/b", []byte("12"), []byte("345")); err != nil && !errors.Is(err, archive.ErrExist) {
			t.Fatal(err)
		}
	}
	if _, err := store.Open(t.Context(), "a/c", 0, -1); !errors.Is(err, archive.ErrNotExist) {
		t.Fatal(err)
	}
	for _, err := range store.List(t.Context(), "a", "") {
		if err != nil {
			t.Fatal(err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Create(over, "a/d", []byte("6")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := store.Sync(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if steps != 2 { // an entry of the list, and the sync
		t.Errorf("%d steps, want 2", steps)
	}
	op := func(operation, result string) string {
		return `binkeeper_storage_operations_total{operation="` + operation + `",result="` + result + `",store="file"}`
	}
	check(t, scrape(t, w), map[string]float64{
		op("connect", "error"): 1, op("connect", "ok"): 1, op("create", "ok"): 1, op("create", "exists"): 1, op("create", "canceled"): 1,
		op("open", "absent"): 1, op("open", "error"): 0, op("list", "ok"): 1, op("sync", "ok"): 1, op("delete", "ok"): 1,
		`binkeeper_storage_operation_duration_seconds{operation="create",store="file"}`: 3,
		`binkeeper_archive_bytes_total{kind="stored",task="orders"}`:                    5,
	})
}

func TestMeteredStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) archive.Store {
		w := newMeteredWorker(t, "orders")
		w.cfg.OpenStore = func(url string) (archive.Store, error) { return dirstore.Open(url) }
		store, err := (&member{w: w, meter: w.meters.of("orders")}).openStore(t.TempDir(), func() {})
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}

func TestSchemesAreFew(t *testing.T) {
	tests := []struct{ url, want string }{
		{"file:///srv", "file"}, {"/srv", "file"}, {"S3://bucket/x", "s3"}, {"http://user:secret@host", "other"}, {"secret", "other"}, {"", "other"},
	}
	for _, test := range tests {
		if got := storeScheme(test.url); got != test.want {
			t.Errorf("storeScheme(%q) = %q, want %q", test.url, got, test.want)
		}
	}
}

func TestOnlyExpiredSessionsAreCounted(t *testing.T) {
	w := newMeteredWorker(t)
	for _, err := range []error{nil, coord.ErrClosed, coord.ErrExpired, coord.ErrSessionChanged} {
		w.meters.sessionEnded(err)
	}
	check(t, scrape(t, w), map[string]float64{"binkeeper_zookeeper_session_expirations_total{}": 2})
}
