package operator

import (
	"context"

	"github.com/leat-io/leat/connector"
)

// EnumeratorFactory is implemented by factories of sources whose splits the job's master
// hands out.
type EnumeratorFactory interface {
	NewEnumerator(
		ctx context.Context, env *connector.Env, restored []byte,
	) (connector.Enumerator, error)
}

// CommitterFactory is implemented by factories of sinks. The committer may be nil: the sink
// has nothing to commit.
type CommitterFactory interface {
	NewCommitter(ctx context.Context, env *connector.Env) (connector.Committer, error)
}

// Counters every source and sink keeps, under Flink's names. A sink that counts record by
// record may do so up to its last Flush.
const (
	CounterSourceRecords = "numRecordsIn"   // emitted by a source
	CounterSinkRecords   = "numRecordsSend" // taken by a sink
)

// Flusher is implemented by operators that hold records back to handle them together, such
// as sinks. The task calls Flush whenever it flushes outputs: when there is no more input
// just now, and after the buffer timeout.
type Flusher interface {
	Flush()
}
