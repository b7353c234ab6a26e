package worker

import (
	"encoding/json"
	"fmt"
	"net/http"

	"binkeeper/zkpaths"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves the worker's health, metrics and tasks:
//
//	/livez          the process answers
//	/readyz         whether it can serve tasks: 200, or 503 and why not; with
//	                ?verbose each check and task. A standby is ready
//	/metrics        for Prometheus, as docs/metrics.md lists them
//	/version        which program this is
//	/api/v1/tasks   the tasks as this worker sees them
//
// Nothing that it serves holds a secret, and nothing can be changed by it.
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", w.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.meters.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, map[string]string{"version": w.cfg.Version, "server_id": w.cfg.ServerID})
	})
	mux.HandleFunc("GET /api/v1/tasks", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, taskList{Format: zkpaths.Format, Tasks: w.taskViews()})
	})
	return mux
}

func (w *Worker) readyz(rw http.ResponseWriter, r *http.Request) {
	err := w.Ready()
	verbose := r.URL.Query().Has("verbose")
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	switch {
	case verbose && err != nil:
		fmt.Fprintf(rw, "[-]zookeeper: %v\n", err)
	case verbose:
		fmt.Fprintln(rw, "[+]zookeeper ok")
	case err != nil:
		fmt.Fprintln(rw, err)
	default:
		fmt.Fprintln(rw, "ok")
	}
	if !verbose {
		return
	}
	for _, t := range w.taskViews() {
		fmt.Fprintf(rw, "[ ]task %s: %s\n", t.ID, t.summary())
	}
}

// A taskList is what /api/v1/tasks serves: docs/metrics.md describes it.
type taskList struct {
	Format int        `json:"format"`
	Tasks  []taskView `json:"tasks"`
}

// A taskView is one task as this worker sees it. Only its primary knows more than
// its role, the newest term it has served itself, and the durable time by then.
type taskView struct {
	ID          string       `json:"id"`
	Role        string       `json:"role"`  // primary, standby, or "": not in the line
	State       string       `json:"state"` // zkpaths' words; "" unless this worker answers for the task
	Term        int64        `json:"term"`
	File        string       `json:"file"` // the archive's end
	Position    int64        `json:"position"`
	BehindBytes int64        `json:"behind_bytes"`
	DurableTime zkpaths.Time `json:"durable_time"`
	Reason      string       `json:"reason"`
	Hint        string       `json:"hint"`
}

func (t taskView) summary() string {
	switch {
	case t.Role == "":
		return "not in the line"
	case t.State == "":
		return t.Role
	case t.Reason == "":
		return t.Role + ", " + t.State
	}
	return t.Role + ", " + t.State + ": " + t.Reason
}

func (w *Worker) taskViews() []taskView {
	views := []taskView{}
	for _, r := range w.meters.read() {
		s := r.status
		views = append(views, taskView{
			ID: r.task, Role: r.role, State: s.State, Term: s.Term, File: s.File, Position: s.Position,
			BehindBytes: s.BehindBytes, DurableTime: s.DurableTime, Reason: s.Reason, Hint: s.Hint,
		})
	}
	return views
}

func writeJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(rw).Encode(v)
}
