package worker

import (
	"encoding/json"
	"net/http"
)

// Handler serves the worker's health: /livez says that the process answers,
// /readyz whether it can serve tasks (200, or 503 and why not), /version which
// program this is. A standby is ready.
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		if err := w.Ready(); err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		rw.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /version", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		json.NewEncoder(rw).Encode(map[string]string{"version": w.cfg.Version, "server_id": w.cfg.ServerID})
	})
	return mux
}
