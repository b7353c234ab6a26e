package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Listen listens at address, a daemon's --listen: "" is nowhere, and gives nil. A
// port of 0 is any.
func Listen(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, Usagef("--listen %q: want host:port, such as 127.0.0.1:9108, or '' for none", address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, Fail(Failed, "name another one, as in --listen 127.0.0.1:0, or '' for none", "--listen %s: the port is taken", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	return l, nil
}

// Address is where l listens, "" for nil.
func Address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Serve runs a daemon, and serves handler on l for as long, unless l is nil.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, run func(context.Context) error) error {
	if l == nil {
		return run(ctx)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	err := run(ctx)
	server.Close()
	if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve HTTP: %w", serveErr))
	}
	return err
}
