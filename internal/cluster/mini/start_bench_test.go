package mini_test

import (
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/stream"
)

// BenchmarkFirstRecord measures a small job on the local store: from Execute to the first
// record (first-ms) and to FINISHED.
func BenchmarkFirstRecord(b *testing.B) {
	var first time.Duration
	for b.Loop() {
		e := stream.NewEnv("count")
		e.SetFiles(filesystem.NewRegistry(local.New(local.Options{})))
		e.Set("execution.checkpointing.dir", b.TempDir())
		e.SetLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
		began := time.Now()
		once := sync.OnceFunc(func() { first += time.Since(began) })
		j := &job{
			env: e, source: &numbers{splits: 5, perSplit: 100, holdAt: -1}, sink: &ledger{},
			look: func(i item) (item, error) { once(); return i, nil },
		}
		if _, err := j.build().env.Execute(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(first.Microseconds())/1e3/float64(b.N), "first-ms/op")
}
