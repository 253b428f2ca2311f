// Package protocol holds the messages that roles exchange and that checkpoints are made of,
// as data without behaviour.
//
// Main types: [Envelope], every message between roles; [JobGraph], what is deployed;
// [OperatorState] and [Run], what a checkpoint refers to. The Go code is generated from the
// .proto files beside it and committed (make gen).
//
// Messages are values: whoever sent one no longer touches it. Field numbers are for ever.
package protocol
