// Package cli is the leat command: its verbs, what they print and how they end.
//
// Main type: [Program], one call of the command with what it takes from the process. Verbs that
// speak to running jobs find them by their sockets on this machine (internal/base/sockets) and
// talk to them by package rest; verbs that look into checkpoints read the stores themselves and
// need no job. Tables are for people and JSON, with -o json, for scripts; what is not the result
// goes to the standard error. docs/cli.md is the guide.
//
// Run is called once by the main goroutine.
//
// Semantics: verbs, flags and messages of Flink's command line where it has them.
package cli
