// Package stream is the typed API for programs: an environment, streams of Go values, keyed
// streams with state and windows, sources and sinks.
//
// Main types: [Env], which collects the graph and executes it; [DataStream], a stream of T;
// [KeyedStream], the same partitioned by a key; [WindowedStream], cut into windows. Package
// functions ([Map], [KeyBy], [Aggregate]) make streams of another type, methods set what does
// not change the type.
//
// Life cycle: build the graph, then [Env.Execute] once. Building never fails half way: faults
// are collected and Execute reports them all before anything runs. Building is done by one
// goroutine; the functions given to operators are called by task goroutines, one instance
// per subtask where a constructor is asked for, else shared by all subtasks: then they must
// not change what they capture.
//
// Functions that follow each other without a keyBy run fused in one task, called record by
// record. Strings handed to functions are safe to keep.
//
// Semantics: Flink's DataStream API; names of operators, uids and chaining as there.
package stream
