package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
)

func (p *program) ping() *cobra.Command {
	return &cobra.Command{
		Use:   "ping URL",
		Short: "Ask a worker or monitor for its health",
		Long: `Ask a worker or monitor for its health: /livez, whether the process answers, or
/readyz, whether it can work. Any 2xx answer within --timeout is success, and
redirects are not followed. It is meant for health checks where there is nothing
else to ask with, as in a container.

` + exitCodes(cli.OK, cli.Failed),
		Example: "  binkeeper ping http://127.0.0.1:9108/readyz",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := healthURL(args[0])
			if err != nil {
				return err
			}
			answer, err := ask(cmd.Context(), target, time.Duration(p.timeout))
			if err != nil {
				return err
			}
			return p.print(cmd, answer, answer.rows)
		},
	}
}

// healthURL is text as a URL that can be asked, or a usage error. It is not
// repeated: the URL may hold a password.
func healthURL(text string) (*url.URL, error) {
	target, err := url.Parse(text)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, cli.Usagef("ping: want a URL such as http://127.0.0.1:9108/readyz")
	}
	return target, nil
}

// A pong is a healthy answer.
type pong struct {
	Format int    `json:"format"`
	URL    string `json:"url"`
	Status int    `json:"status"` // HTTP's, 200 to 299
	Answer string `json:"answer"` // the body, up to maxAnswer bytes
}

// maxAnswer is how much of an answer is read, in bytes; health is a few words.
const maxAnswer = 4 << 10

// ask gets target once. No answer within timeout, and any but a 2xx, is an
// error that says what came instead.
func ask(ctx context.Context, target *url.URL, timeout time.Duration) (pong, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(bounded, http.MethodGet, target.String(), nil)
	if err != nil {
		return pong{}, fmt.Errorf("ping %s: %w", target.Redacted(), err)
	}
	response, body, err := get(request)
	switch {
	case ctx.Err() != nil:
		return pong{}, ctx.Err()
	case err != nil:
		return pong{}, cli.Fail(cli.Failed, "check that the program runs, and its --listen", "ping %s: %w", target.Redacted(), err)
	case response.StatusCode < 200 || response.StatusCode > 299:
		return pong{}, fmt.Errorf("ping %s: %s: %s", target.Redacted(), response.Status, body)
	}
	return pong{outputFormat, target.Redacted(), response.StatusCode, body}, nil
}

// get performs request on a connection of its own, by no proxy: what is asked is
// this very machine's, or a neighbour's.
func get(request *http.Request) (*http.Response, string, error) {
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // it repeats the URL
		}
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response, strings.TrimSpace(string(body)), err
}

func (a pong) rows() [][]string {
	return [][]string{{"URL", "STATUS", "ANSWER"}, {a.URL, fmt.Sprint(a.Status), a.Answer}}
}
