package worker

import (
	"fmt"
	"net/http"

	"binkeeper/internal/api"
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
	mux.HandleFunc("GET /readyz", api.Readyz(w.Ready, w.details))
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.meters.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version", func(rw http.ResponseWriter, _ *http.Request) {
		api.WriteJSON(rw, map[string]string{"version": w.cfg.Version, "server_id": w.cfg.ServerID})
	})
	mux.HandleFunc("GET /api/v1/tasks", func(rw http.ResponseWriter, _ *http.Request) {
		api.WriteJSON(rw, taskList{Format: zkpaths.Format, Tasks: w.taskViews()})
	})
	return mux
}

// details says how each task stands.
func (w *Worker) details() []string {
	var lines []string
	for _, t := range w.taskViews() {
		lines = append(lines, fmt.Sprintf("task %s: %s", t.ID, t.summary()))
	}
	return lines
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
	case t.Role == "" && t.Reason != "":
		return t.Reason
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
		view := taskView{
			ID: r.task, Role: r.role, State: s.State, Term: s.Term, File: s.File, Position: s.Position,
			BehindBytes: s.BehindBytes, DurableTime: s.DurableTime, Reason: s.Reason, Hint: s.Hint,
		}
		if r.vanished.Load() {
			view.Reason, view.Hint = zkpaths.ReasonVanished, zkpaths.HintVanished(r.task)
		}
		views = append(views, view)
	}
	return views
}
