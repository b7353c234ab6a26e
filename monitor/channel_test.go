package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A listener is a real HTTP server, on connections in memory, so that it lives in
// the time of a bubble.
type listener struct {
	body   func([]byte) // nil for none
	conns  chan net.Conn
	server *http.Server
	ended  sync.WaitGroup

	mu     sync.Mutex
	answer http.HandlerFunc
	got    []webhookMessage
	times  []time.Time
}

func startListener(t *testing.T, answer http.HandlerFunc) *listener {
	r := &listener{answer: answer, conns: make(chan net.Conn)}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve)}
	r.ended.Go(func() { r.server.Serve(r) })
	t.Cleanup(func() { r.server.Close(); r.ended.Wait() })
	return r
}

func (r *listener) Accept() (net.Conn, error) {
	conn, ok := <-r.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (r *listener) Close() error   { close(r.conns); return nil }
func (r *listener) Addr() net.Addr { return &net.TCPAddr{} }

func (r *listener) transport(t *testing.T) *http.Transport {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case r.conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (r *listener) serve(rw http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	var m webhookMessage
	json.Unmarshal(body, &m)
	r.mu.Lock()
	r.got, r.times = append(r.got, m), append(r.times, time.Now())
	answer := r.answer
	r.mu.Unlock()
	if r.body != nil {
		r.body(body)
	}
	answer(rw, request)
}

// turn changes what it answers.
func (r *listener) turn(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// attempts are the pauses between the requests that came, in seconds.
func (r *listener) attempts() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pauses []int
	for i := range r.times {
		if i > 0 {
			pauses = append(pauses, int(r.times[i].Sub(r.times[i-1]).Round(time.Second)/time.Second))
		}
	}
	return pauses
}

func (r *listener) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, m := range r.got {
		names = append(names, m.Alerts[0].Name()+" "+m.Status)
	}
	return names
}

// startChannel runs a webhook's channel to r until the test ends.
func startChannel(t *testing.T, r *listener) (*channel, *meters) {
	u, err := checkURL("http://user:secret@hooks.example/secret")
	if err != nil {
		t.Fatal(err)
	}
	m := newMeters("v", func() reading { return reading{} })
	c := newChannel("webhook", &webhook{u, newClient(r.transport(t))}, m, zerolog.Nop())
	var ended sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	ended.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	return c, m
}

func anAlert(name string) *Alert { return newAlert(name, Critical, "orders", time.Now()) }

func ok(http.ResponseWriter, *http.Request) {}

func TestChannelDeliversInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startListener(t, ok)
		c, m := startChannel(t, r)
		down := anAlert(taskDown)
		c.offer(down)
		c.offer(down.resolved(time.Now()))
		synctest.Wait()
		if got, want := r.names(), []string{taskDown + " firing", taskDown + " resolved"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := counted(t, m, "binkeeper_notifications_total", "ok"); n != 2 {
			t.Errorf("%v counted as delivered, want 2", n)
		}
	})
}

// A receiver that answers 500 is tried again with growing pauses, for a bounded
// time; what comes after it is not lost.
func TestChannelRepeatsAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startListener(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
		c, m := startChannel(t, r)
		c.offer(anAlert(statusChanged))
		time.Sleep(giveUpAfter + 2*maxBackoff)
		pauses := r.attempts()
		if want := []int{1, 2, 4, 8, 16, 32, 60, 60}; !slices.Equal(pauses[:len(want)], want) {
			t.Errorf("pauses %v, want %v and so on", pauses, want)
		}
		if len(pauses) > 25 || c.length() != 0 {
			t.Errorf("%d attempts, %d queued, want it given up", len(pauses)+1, c.length())
		}
		if n := counted(t, m, "binkeeper_notifications_dropped_total", ""); n != 1 {
			t.Errorf("%v counted as dropped, want 1", n)
		}
		r.turn(ok)
		c.offer(anAlert(taskBlocked))
		time.Sleep(maxBackoff + time.Second)
		if names := r.names(); names[len(names)-1] != taskBlocked+" firing" || c.length() != 0 {
			t.Errorf("after its recovery it got %q", names[len(names)-1])
		}
	})
}

// A receiver that answers 500 for an hour hears then the last word on everything, at the
// latest a pause after its recovery, and nothing twice. The words before it are lost, and counted.
func TestChannelOutlivesAnHourOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startListener(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
		c, m := startChannel(t, r)
		over := anAlert(taskBlocked)
		c.offer(anAlert(taskDown))
		c.offer(over)
		time.Sleep(10 * time.Minute)
		c.offer(over.resolved(time.Now()))
		c.offer(anAlert(stalled))
		time.Sleep(50 * time.Minute)
		failed := len(r.names())
		r.turn(ok)
		time.Sleep(maxBackoff)
		got := r.names()[failed:]
		slices.Sort(got)
		if want := []string{stalled + " firing", taskBlocked + " resolved", taskDown + " firing"}; !slices.Equal(got, want) || c.length() != 0 {
			t.Errorf("after an hour it hears %q, want %q; %d wait still", got, want, c.length())
		}
		if n := counted(t, m, "binkeeper_notifications_dropped_total", ""); n != 1 {
			t.Errorf("%v counted as dropped, want 1", n)
		}
		if failed < 60 || failed > 80 {
			t.Errorf("%d attempts in an hour, want about one a minute", failed)
		}
	})
}

// A receiver that takes 9 s for each answer gets everything once, in order.
func TestChannelOfASlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startListener(t, func(http.ResponseWriter, *http.Request) { time.Sleep(9 * time.Second) })
		c, m := startChannel(t, r)
		var want []string
		for _, name := range []string{taskDown, taskBlocked, stalled} {
			a := anAlert(name)
			c.offer(a)
			c.offer(a.resolved(time.Now()))
			want = append(want, name+" firing", name+" resolved")
		}
		time.Sleep(time.Minute)
		if got := r.names(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := counted(t, m, "binkeeper_notifications_total", "error"); n != 0 {
			t.Errorf("%v attempts failed", n)
		}
	})
}

// A receiver that hangs is left after the attempt's bound.
func TestChannelLeavesAReceiverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		r := startListener(t, func(http.ResponseWriter, *http.Request) { <-hung })
		t.Cleanup(func() { close(hung) })
		c, m := startChannel(t, r)
		began := time.Now()
		c.offer(anAlert(taskDown))
		if took := time.Since(began); took != 0 {
			t.Errorf("offer took %s", took)
		}
		time.Sleep(3*attemptTimeout + 10*time.Second)
		if pauses := r.attempts(); len(pauses) < 2 || pauses[0] != 11 || pauses[1] != 12 {
			t.Errorf("pauses %v, want the attempt's bound and the back-off", pauses)
		}
		if n := counted(t, m, "binkeeper_notifications_total", "error"); n < 2 {
			t.Errorf("%v attempts counted as errors", n)
		}
	})
}

// What the receiver refuses for good is not tried again.
func TestChannelGivesUpWhatIsRefused(t *testing.T) {
	for _, code := range []int{400, 404, 302} {
		synctest.Test(t, func(t *testing.T) {
			r := startListener(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "/elsewhere")
				rw.WriteHeader(code)
			})
			c, m := startChannel(t, r)
			c.offer(anAlert(taskDown))
			time.Sleep(time.Hour)
			if n := len(r.names()); n != 1 || counted(t, m, "binkeeper_notifications_dropped_total", "") != 1 {
				t.Errorf("%d: %d attempts, want 1, and the alert dropped", code, n)
			}
		})
	}
}

// A full queue loses what is oldest.
func TestChannelQueueIsBounded(t *testing.T) {
	m := newMeters("v", func() reading { return reading{} })
	c := newChannel("webhook", nil, m, zerolog.Nop())
	for range queueLimit {
		c.offer(anAlert(taskDown))
	}
	c.offer(anAlert(taskBlocked))
	pending := c.pending()
	if len(pending) != queueLimit || pending[queueLimit-1].Name() != taskBlocked {
		t.Errorf("%d queued, the newest %s", len(pending), pending[len(pending)-1].Name())
	}
	if n := counted(t, m, "binkeeper_notifications_dropped_total", ""); n != 1 {
		t.Errorf("%v counted as dropped, want 1", n)
	}
}

// The secrets of a URL are in no error.
func TestErrorsHoldNoSecret(t *testing.T) {
	refused := errors.New("refused")
	client := newClient(&http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refused }})
	u, err := checkURL("https://user:secret@hooks.example/services/secret?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	got := (&webhook{u, client}).send(t.Context(), anAlert(taskDown))
	if want := "POST hooks.example: refused"; got == nil || got.Error() != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"", "hooks.example/secret", "ftp://h/secret", "http:///secret", "https://user:secret@h:port/\x7f"} {
		_, err := New(Config{Webhooks: []string{bad}, Logger: zerolog.Nop()})
		if want := "--webhook: want a URL such as https://host/path"; err == nil || err.Error() != want {
			t.Errorf("%q: got %q, want %q", bad, err, want)
		}
	}
}

// counted is a counter's value, over all its channels.
func counted(t *testing.T, m *meters, name, result string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total, found := 0.0, false
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			fits := result == ""
			for _, label := range metric.GetLabel() {
				fits = fits || label.GetName() == "result" && label.GetValue() == result
			}
			if family.GetName() == name && fits {
				total, found = total+metric.GetCounter().GetValue(), true
			}
		}
	}
	if !found {
		t.Fatalf("there is no %s", name)
	}
	return total
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startListener(t, ok)
		u, err := checkURL("http://user:secret@hooks.example/secret")
		if err != nil {
			t.Fatal(err)
		}
		var well bool
		var mu sync.Mutex
		set := func(is bool) { mu.Lock(); well = is; mu.Unlock() }
		h := &heart{u, newClient(r.transport(t)), newMeters("v", func() reading { return reading{} })}
		var complaints []error
		var ended sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		ended.Go(func() {
			h.run(ctx, func() bool { mu.Lock(); defer mu.Unlock(); return well }, func(err error) { complaints = append(complaints, err) })
		})
		time.Sleep(10 * time.Minute)
		if n := len(r.attempts()); n != 0 {
			t.Errorf("it beats %d times while nothing is well", n)
		}
		set(true)
		time.Sleep(5*time.Minute + 10*time.Second)
		if got, want := r.attempts(), []int{60, 60, 60, 60, 60}; !slices.Equal(got, want) {
			t.Errorf("it beats after %v s, want %v", got, want)
		}
		set(false)
		time.Sleep(10 * time.Minute)
		if n := len(r.attempts()); n != 5 {
			t.Errorf("it went on beating: %d", n)
		}
		cancel()
		ended.Wait()
		if len(complaints) != 0 {
			t.Errorf("complaints %v", complaints)
		}
	})
}
