package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// What fires is sent again for as long as it fires, its end always ahead; what is
// resolved for five minutes more; a change once.
func TestAlertmanagerIsKeptUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var got []string
		r := startListener(t, func(_ http.ResponseWriter, request *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if request.URL.Path != "/am/api/v2/alerts" {
				t.Errorf("path %s", request.URL.Path)
			}
		})
		r.body = func(body []byte) {
			mu.Lock()
			defer mu.Unlock()
			var alerts []postedAlert
			if err := json.Unmarshal(body, &alerts); err != nil {
				t.Error(err)
			}
			for _, a := range alerts {
				got = append(got, fmt.Sprintf("%s %s ends %s", time.Since(began), a.Labels["alertname"], a.EndsAt.Sub(began)))
			}
		}
		u, err := url.Parse("http://am.example/am/")
		if err != nil {
			t.Fatal(err)
		}
		am := newAlertmanager(u, newClient(r.transport(t)), zerolog.Nop())
		am.seed([]*Alert{anAlert(noStandby)})
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { am.run(ctx) })
		send := func(a *Alert) {
			t.Helper()
			if err := am.send(ctx, a); err != nil {
				t.Error(err)
			}
		}
		down := anAlert(taskDown)
		time.Sleep(10 * time.Second)
		send(newChangeAlert("orders", change{alertname: statusChanged}, time.Now()))
		send(down)
		time.Sleep(time.Minute)
		send(down.resolved(time.Now()))
		send(newAlert(noStandby, Warning, "orders", began).resolved(time.Now()))
		time.Sleep(10 * time.Minute)
		cancel()
		ended.Wait()
		want := []string{
			"10s BinkeeperStatusChanged ends 5m10s", "10s BinkeeperTaskDown ends 3m10s",
			"1m0s BinkeeperNoStandby ends 4m0s", "1m0s BinkeeperTaskDown ends 4m0s",
			"1m10s BinkeeperTaskDown ends 1m10s", "1m10s BinkeeperNoStandby ends 1m10s",
		}
		for n := 2; n <= 6; n++ {
			want = append(want, fmt.Sprintf("%dm0s BinkeeperNoStandby ends 1m10s", n), fmt.Sprintf("%dm0s BinkeeperTaskDown ends 1m10s", n))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
	})
}
