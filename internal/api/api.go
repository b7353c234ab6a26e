// Package api is what the HTTP interfaces of the daemons have in common: how they say that they are ready, and how they
// write JSON. What they serve besides is theirs.
package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Readyz answers 200 while ready returns nil, else 503, with the reason as its text. With the query ?verbose it answers
// in lines: the check of ZooKeeper, which is what ready looks at, and then those of details, which decide nothing.
func Readyz(ready func() error, details func() []string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		trouble := ready()
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if trouble != nil {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		switch verbose := r.URL.Query().Has("verbose"); {
		case verbose && trouble != nil:
			fmt.Fprintf(rw, "[-]zookeeper: %v\n", trouble)
		case verbose:
			fmt.Fprintln(rw, "[+]zookeeper ok")
		case trouble != nil:
			fmt.Fprintln(rw, trouble)
			return
		default:
			fmt.Fprintln(rw, "ok")
			return
		}
		for _, line := range details() {
			fmt.Fprintf(rw, "[ ]%s\n", line)
		}
	}
}

// WriteJSON writes v as one JSON document that no cache keeps.
func WriteJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(rw).Encode(v)
}
