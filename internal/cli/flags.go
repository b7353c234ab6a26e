package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// fromEnvironment sets the flags that the command line has left alone from
// their environment variables.
func fromEnvironment(flags *pflag.FlagSet) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" {
			return
		}
		name := variable(f.Name)
		text, ok := os.LookupEnv(name)
		if !ok {
			return
		}
		if err := setFlag(f, text); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

func variable(flag string) string {
	return "BINKEEPER_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func setFlag(f *pflag.Flag, text string) error {
	f.Changed = true
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return f.Value.Set(text)
	}
	if text == "" {
		return list.Replace(nil)
	}
	return list.Replace(strings.Split(text, ","))
}

// Timeout is a flag's value: a length of time above zero.
type Timeout time.Duration

// Set reads text such as 10s or 1m30s.
func (t *Timeout) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("want a number and a unit, such as 10s")
	}
	if d <= 0 {
		return errors.New("want more than 0s")
	}
	*t = Timeout(d)
	return nil
}

// String is the duration as text, such as "10s".
func (t *Timeout) String() string { return time.Duration(*t).String() }

// Type is the placeholder in a command's help.
func (t *Timeout) Type() string { return "duration" }

// Size is a flag's value: a number of bytes, written as 8388608, 8MiB or 8MB.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3},
	{"B", 1}, {"", 1},
}

// Set reads a whole number of bytes, with or without a unit: B, KB, MB, GB
// (powers of 1000), KiB, MiB, GiB (powers of 1024).
func (s *Size) Set(text string) error {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil {
			break
		}
		if int64(n) > (1<<63-1)/unit.bytes {
			return errors.New("the size is too large")
		}
		*s = Size(int64(n) * unit.bytes)
		return nil
	}
	return errors.New("want a whole number of bytes, such as 8388608, 8MiB or 8MB")
}

// String is the size in the largest binary unit that divides it.
func (s *Size) String() string {
	for _, unit := range units[:3] {
		if *s != 0 && int64(*s)%unit.bytes == 0 {
			return strconv.FormatInt(int64(*s)/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type is the placeholder in a command's help.
func (s *Size) Type() string { return "size" }
