package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// receiver is what the alerts' JSON calls their receiver.
const receiver = "binkeeper"

// A webhook posts each alert by itself, in the JSON of Alertmanager's webhook.
type webhook struct {
	url    *url.URL
	client *http.Client
}

// A webhookMessage is Alertmanager's, version 4.
type webhookMessage struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []*Alert          `json:"alerts"`
}

// newWebhookMessage is one alert as a group of its own: by its name and task.
func newWebhookMessage(a *Alert) webhookMessage {
	group := map[string]string{"alertname": a.Name()}
	groupKey := fmt.Sprintf("{}:{alertname=%q}", a.Name())
	if a.Task() != "" {
		group["task"] = a.Task()
		groupKey = fmt.Sprintf("{}:{alertname=%q, task=%q}", a.Name(), a.Task())
	}
	return webhookMessage{
		Version: "4", GroupKey: groupKey, Status: a.Status, Receiver: receiver, GroupLabels: group,
		CommonLabels: a.Labels, CommonAnnotations: a.Annotations, Alerts: []*Alert{a},
	}
}

func (w *webhook) send(ctx context.Context, a *Alert) error {
	return post(ctx, w.client, w.url, newWebhookMessage(a))
}

// newClient returns the client of all channels. It follows no redirect: what is
// posted goes where the operator said, or nowhere.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkURL reads the URL of a channel. Neither it nor its errors are ever shown:
// such URLs hold secrets, in the user info or in the path.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("want a URL such as https://host/path")
	}
	return u, nil
}

// post sends body as JSON. Any answer but a 2xx is an error; one that says that
// the request is wrong is a *permanentError. No error repeats the URL.
func post(ctx context.Context, client *http.Client, to *url.URL, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return &permanentError{fmt.Errorf("encode alert: %w", err)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(data))
	if err != nil {
		return &permanentError{errors.New("make a request: the URL is not usable")}
	}
	request.Header.Set("Content-Type", "application/json")
	return do(client, request)
}

func do(client *http.Client, request *http.Request) error {
	request.Header.Set("User-Agent", "binkeeper-monitor")
	response, err := client.Do(request)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // it repeats the URL
		}
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Host, err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	code := response.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	err = fmt.Errorf("%s %s: %s", request.Method, request.URL.Host, response.Status)
	if code >= 300 && code <= 499 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests {
		return &permanentError{err}
	}
	return err
}

// A heart calls a URL for as long as all is well, so that a watcher notices when it
// does not any more.
type heart struct {
	url    *url.URL
	client *http.Client
	meters *meters
}

const (
	heartbeatEvery   = time.Minute
	heartbeatChannel = "heartbeat"
)

// run beats at once when all is well first, and then every minute in which it is.
// complain is called with the first error, and with nil when it is over.
func (h *heart) run(ctx context.Context, well func() bool, complain func(error)) {
	h.meters.knowChannel(heartbeatChannel)
	pause, failed := time.Second, false
	for {
		if well() {
			err := h.beat(ctx)
			if ctx.Err() != nil {
				return
			}
			if failed != (err != nil) {
				complain(err)
			}
			pause, failed = heartbeatEvery, err != nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (h *heart) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url.String(), nil)
	if err != nil {
		return errors.New("make a request: the URL is not usable")
	}
	err = do(h.client, request)
	h.meters.attempted(heartbeatChannel, err)
	return err
}
