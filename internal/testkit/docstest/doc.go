// Package docstest runs what documents tell a reader to do.
//
// Main types: Block, a fenced block of a document; Command, a command with the output that the
// document shows; Match, which compares that with what came. Its test walks through docs/state.md
// in a directory that looks like the root of the repository: it saves the programs, compiles the
// snippets, and runs the commands one after the other in one shell, as a reader would. It does not
// judge prose.
//
// Rules for documents: a block of Go whose fence says file=PATH is a program to be saved there,
// other ones are snippets, of which only the imports are added. In a block called console, lines
// that begin with "$ " are commands (continued by lines that begin with "> "), the others are what
// they print; a block called sh is a script whose output is not shown. Every one ends with exit
// code 0; one that is meant to fail says so with "; echo ...". How output is compared: see Match.
package docstest
