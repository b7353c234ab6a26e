package worker

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// What an operator should hear at every connection is logged once in a term.
func TestWarningsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	o := observer{&term{log: zerolog.New(&log)}, map[string]bool{}}
	o.Warn([]string{"nobody has verified the certificate"})
	o.Warn([]string{"nobody has verified the certificate", "everybody can read the password's file"})
	if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "certificate") != 1 || strings.Count(got, "password's file") != 1 {
		t.Errorf("logged:\n%s", got)
	}
}
