package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

// The forms of a log.
const (
	LogJSON    = "json"    // one object a line
	LogConsole = "console" // for eyes
)

type logFormat string

// LogFormatFlag adds --log-format: json, console, or "" for console on a
// terminal and json elsewhere.
func LogFormatFlag(flags *pflag.FlagSet) *string {
	var format logFormat
	flags.Var(&format, "log-format", "json or console; without it console on a terminal, json elsewhere")
	return (*string)(&format)
}

func (f *logFormat) Set(text string) error {
	if !slices.Contains([]string{"", LogJSON, LogConsole}, text) {
		return fmt.Errorf("%q: want %s or %s", text, LogJSON, LogConsole)
	}
	*f = logFormat(text)
	return nil
}

func (f *logFormat) String() string { return string(*f) }
func (f *logFormat) Type() string   { return "format" }

// NewLogger returns a logger that writes to w in format, a value of
// LogFormatFlag. Times are in UTC.
func NewLogger(format string, w io.Writer) zerolog.Logger {
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	zerolog.DurationFieldUnit = time.Second
	zerolog.ErrorFieldName = "err"
	if format == LogConsole || format == "" && IsTerminal(w) {
		_, plain := os.LookupEnv("NO_COLOR")
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.DateTime, TimeLocation: time.UTC, NoColor: plain || !IsTerminal(w)}
	}
	return zerolog.New(w).With().Timestamp().Logger()
}

// IsTerminal reports whether somebody watches what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
