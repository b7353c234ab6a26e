// Package cli is what Binkeeper's programs have in common: where a flag's value
// comes from, how a program ends on signals, its exit codes, how an error is
// shown, and how logs look. Only package main of a program uses it.
//
//	func main() { os.Exit(cli.Run("worker", root)) }
//
// A flag's value is the one on the command line, else that of the environment
// variable BINKEEPER_<FLAG> (upper case, dashes as underscores; a list is split
// at commas), else the default.
//
// Data goes to standard output; errors, warnings and logs to standard error. An
// error is one line that says what and which object; what to do about it
// follows on a line of its own, when anything in the error's chain has a method
// Hint() string.
//
// It knows no verb. Of the network it knows a daemon's own HTTP server alone.
package cli
