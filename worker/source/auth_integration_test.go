//go:build faults

//faults:source

package source

import (
	"errors"
	"strings"
	"testing"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

// Each plugin of a real server, inside TLS and without: what gets the password whole, and what does not.
func TestAuthentication(t *testing.T) {
	const plain = "?ssl-mode=DISABLED"
	source := servertest.StartSource(t, servers.MySQL)
	for plugin, known := range map[string]bool{"caching_sha2_password": true, "sha256_password": false} {
		run(t, source, "CREATE USER "+plugin+"@'%' IDENTIFIED WITH "+plugin+" BY '"+servers.Password+"'")
		attempt := func(parameters string) (warning string, err error) {
			target, err := ParseURL(strings.Replace(source.URL(), servers.User+"@", plugin+"@", 1) + parameters)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := Connect(t.Context(), target, testOptions())
			if err != nil {
				return "", err
			}
			defer conn.Close()
			_, err = conn.rows(t.Context(), "SELECT 1", 1)
			return conn.Warning(), err
		}
		isRefused := func(err error) bool {
			unfit := (*UnfitError)(nil)
			return errors.As(err, &unfit) && strings.Contains(unfit.Hint(), "get-server-public-key=true")
		}
		if _, err := attempt(plain); !isRefused(err) {
			t.Errorf("%s in plain text: %v", plugin, err)
		}
		if warning, err := attempt(plain + "&get-server-public-key=true"); err != nil || warning != "" {
			t.Errorf("%s with the server's key: %v, warning %q", plugin, err, warning)
		}
		if _, err := attempt(plain); known && err != nil || !known && !isRefused(err) {
			t.Errorf("%s in plain text, once the server has seen the password: %v", plugin, err)
		}
		run(t, source, "FLUSH PRIVILEGES") // the server forgets what it has seen
		if _, err := attempt(plain); !isRefused(err) {
			t.Errorf("%s in plain text, forgotten: %v", plugin, err)
		}
		if warning, err := attempt("?ssl-mode=REQUIRED"); err != nil || !strings.Contains(warning, "VERIFY_CA") {
			t.Errorf("%s inside TLS: %v, warning %q", plugin, err, warning)
		}
		run(t, source, "FLUSH PRIVILEGES")
		if warning, err := attempt("?ssl-ca=" + source.CA()); err != nil || warning != "" {
			t.Errorf("%s inside TLS with a certificate: %v, warning %q", plugin, err, warning)
		}
	}
}

// A server that offers no TLS, as one in whose name a man in the middle speaks, and a client that prefers it.
func TestAuthenticationWithoutTLS(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB1011} {
		t.Run(string(kind), func(t *testing.T) {
			source := servertest.StartSource(t, kind, map[bool]string{true: "--skip-ssl", false: "--tls-version="}[kind.IsMariaDB()])
			_, err := connectWith(t, source, "", testOptions())
			var unfit *UnfitError
			if kind.IsMariaDB() && err != nil || !kind.IsMariaDB() && (!errors.As(err, &unfit) || !strings.Contains(unfit.Hint(), "get-server-public-key=true")) {
				t.Errorf("%v", err)
			}
			if _, err := connectWith(t, source, "?get-server-public-key=true", testOptions()); err != nil {
				t.Errorf("with the server's key: %v", err)
			}
			if _, err := connectWith(t, source, "?ssl-mode=REQUIRED", testOptions()); !errors.As(err, &unfit) || !strings.Contains(err.Error(), "offers no TLS") {
				t.Errorf("required: %v", err)
			}
		})
	}
}
