package source

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SSLMode is how a connection is protected, in MySQL's own words.
type SSLMode string

// The modes, as the option --ssl-mode of MySQL's clients has them.
const (
	SSLDisabled       SSLMode = "DISABLED"        // never TLS
	SSLPreferred      SSLMode = "PREFERRED"       // TLS when the server offers it
	SSLRequired       SSLMode = "REQUIRED"        // TLS or no connection
	SSLVerifyCA       SSLMode = "VERIFY_CA"       // and a certificate of a known authority
	SSLVerifyIdentity SSLMode = "VERIFY_IDENTITY" // and for this host name
)

var sslModes = []SSLMode{SSLDisabled, SSLPreferred, SSLRequired, SSLVerifyCA, SSLVerifyIdentity}

const defaultPort = 3306

// Target is where a source is and how to reach it. It never holds a password.
type Target struct {
	User    string
	Host    string // a name or an address, IPv6 without brackets
	Port    uint16
	SSLMode SSLMode
	SSLCA   string // PEM file of authorities, or "": those of the system
	SSLCert string // PEM file of the client's certificate, or ""
	SSLKey  string // PEM file of its key, or ""
	// GetServerPublicKey says that the server may get the whole password without
	// TLS, encrypted with a key that it sends, and that is not verified.
	GetServerPublicKey bool
}

// Address returns host:port, as dialled.
func (t Target) Address() string {
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}

// String returns the shortest URL that ParseURL reads as t.
func (t Target) String() string {
	u := url.URL{Scheme: "mysql", User: url.User(t.User), Host: t.Address()}
	var query []string
	implied := SSLPreferred
	if t.SSLCA != "" {
		implied = SSLVerifyCA
	}
	if t.SSLMode != implied {
		query = append(query, "ssl-mode="+string(t.SSLMode))
	}
	for _, file := range []struct{ key, value string }{{"ssl-ca", t.SSLCA}, {"ssl-cert", t.SSLCert}, {"ssl-key", t.SSLKey}} {
		if file.value != "" {
			query = append(query, file.key+"="+strings.ReplaceAll(url.QueryEscape(file.value), "%2F", "/"))
		}
	}
	if t.GetServerPublicKey {
		query = append(query, getServerPublicKey+"=true")
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

// urlError is a URL that names no source. It never repeats the URL, which may
// hold a password.
type urlError struct{ problem, hint string }

func (e *urlError) Error() string { return "source URL: " + e.problem }

// Hint is the operator's next step.
func (e *urlError) Hint() string { return e.hint }

// URLForm shows the URL of a source.
const URLForm = "mysql://user@host:port[?ssl-mode=…&ssl-ca=…&ssl-cert=…&ssl-key=…&get-server-public-key=…]"

const wantURL = "want " + URLForm

// getServerPublicKey is a parameter, in the words of MySQL's clients.
const getServerPublicKey = "get-server-public-key"

var parameters = []string{"ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", getServerPublicKey}

// ParseURL reads a URL of the form of URLForm.
// The port's default is 3306. The mode's is PREFERRED, or VERIFY_CA when ssl-ca is
// given, as with MySQL's clients; its case does not matter. get-server-public-key is
// true or false, the default. A password in the URL is an error. Every error has a
// hint.
func ParseURL(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "mysql" || u.Opaque != "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Target{}, &urlError{"it is not of the form of a source", wantURL}
	}
	if _, has := u.User.Password(); has {
		return Target{}, &urlError{"it holds a password", "take the password out of the URL, and name where it is kept with --password-ref file:PATH or env:NAME"}
	}
	t := Target{User: u.User.Username(), Host: u.Hostname(), Port: defaultPort, SSLMode: SSLPreferred}
	if t.User == "" {
		return Target{}, &urlError{"it has no user", wantURL}
	}
	if t.Host == "" {
		return Target{}, &urlError{"it has no host", wantURL}
	}
	if !utf8.ValidString(t.Host) {
		return Target{}, &urlError{"its host is no text", wantURL}
	}
	if _, err := netip.ParseAddr(t.Host); err != nil && strings.Contains(t.Host, ":") {
		return Target{}, &urlError{fmt.Sprintf("%q is no IPv6 address", t.Host), "write an IPv6 address in brackets: [2001:db8::1]"}
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Target{}, &urlError{fmt.Sprintf("port %s is not one", port), "give a port between 1 and 65535"}
		}
		t.Port = uint16(n)
	}
	if err := t.parseQuery(u.RawQuery); err != nil {
		return Target{}, err
	}
	return t, nil
}

func (t *Target) parseQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return &urlError{"its parameters cannot be read", wantURL}
	}
	t.SSLCA, t.SSLCert, t.SSLKey = query.Get("ssl-ca"), query.Get("ssl-cert"), query.Get("ssl-key")
	if t.SSLCA != "" {
		t.SSLMode = SSLVerifyCA
	}
	for key, values := range query {
		switch {
		case !slices.Contains(parameters, key):
			return &urlError{fmt.Sprintf("parameter %q is unknown", key), wantURL}
		case len(values) > 1:
			return &urlError{fmt.Sprintf("parameter %s is given more than once", key), "give it once"}
		case values[0] == "":
			return &urlError{fmt.Sprintf("parameter %s is empty", key), "give it a value or leave it out"}
		}
	}
	if mode := query.Get("ssl-mode"); mode != "" {
		t.SSLMode = SSLMode(strings.ToUpper(mode))
		if !slices.Contains(sslModes, t.SSLMode) {
			return &urlError{fmt.Sprintf("ssl-mode %q is unknown", mode), "use DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"}
		}
	}
	switch value := query.Get(getServerPublicKey); value {
	case "", "false":
	case "true":
		t.GetServerPublicKey = true
	default:
		return &urlError{fmt.Sprintf("%s %q is neither true nor false", getServerPublicKey, value), "give it as true, or leave it out"}
	}
	if (t.SSLCert == "") != (t.SSLKey == "") {
		return &urlError{"ssl-cert and ssl-key belong together", "give both or neither"}
	}
	return nil
}
