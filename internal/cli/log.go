package cli

import (
	"errors"
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

// LogLevelFlag adds --log-level: debug, info (the default), warn or error.
func LogLevelFlag(flags *pflag.FlagSet) *zerolog.Level {
	level := logLevel(zerolog.InfoLevel)
	flags.Var(&level, "log-level", "debug, info, warn or error; debug adds each attempt to reach ZooKeeper")
	return (*zerolog.Level)(&level)
}

type logLevel zerolog.Level

func (l *logLevel) Set(text string) error {
	for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel, zerolog.ErrorLevel} {
		if text == level.String() {
			*l = logLevel(level)
			return nil
		}
	}
	return errors.New("want debug, info, warn or error")
}

func (l *logLevel) String() string { return zerolog.Level(*l).String() }
func (l *logLevel) Type() string   { return "level" }

// NewLogger returns a logger of level info that writes to w in format, a value of
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
	return zerolog.New(w).Level(zerolog.InfoLevel).With().Timestamp().Logger()
}

// IsTerminal reports whether w is a terminal, where a person may read along.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
