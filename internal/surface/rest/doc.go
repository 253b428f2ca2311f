// Package rest serves running jobs over HTTP with the paths and JSON bodies of Flink's REST API,
// as far as they are served here, and is the client of it.
//
// Main types: [Job], what a handler needs of a running job; [Server], the handlers, which one
// process mounts on the private socket of its job and another on TCP; [Client]; and the messages
// of the API. Wherever a path holds a job's id, its name does too. Every path also exists under
// /v1.
//
// Operations that take time are started by a POST, which answers with a request id, and asked for
// under that id; results stay for five minutes. The package decides nothing about jobs and opens no
// socket. A Server is safe for concurrent use; Close ends what it started.
//
// Semantics: Flink's REST API v1. Every field of a message is always there, numbers are never null.
package rest
