package stream

import (
	"errors"
	"slices"
)

// Union is the stream of the records of all given streams, which may be the same one several
// times: its records are there as often then. Records of one stream keep their order within a
// subtask. The watermark is the smallest of all streams that are not idle. A union is no
// operator: it has neither name nor parallelism, and costs nothing.
//
// Semantics: Flink's DataStream.union.
func Union[T any](first *DataStream[T], others ...*DataStream[T]) *DataStream[T] {
	union := &DataStream[T]{env: first.env, at: first.at, origins: slices.Clone(first.from())}
	for _, s := range others {
		if s.env != first.env {
			first.env.fault(errors.New("union: the streams are of different environments"))
			continue
		}
		union.origins = append(union.origins, s.from()...)
	}
	return union
}
