package mini

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// checkpointFigures are those of the newest completed checkpoint.
type checkpointFigures struct {
	id    uint64
	took  time.Duration
	bytes int64
	// savepoint is its URI when the job was stopped with it.
	savepoint string
}

// counters are those of enumerators and committers, by "uid.name". Safe for concurrent use.
type counters struct {
	mu struct {
		sync.Mutex
		byName map[string]uint64
	}
}

// of returns the function that adds to the counters of an operator.
func (c *counters) of(uid string) func(name string, delta uint64) {
	return func(name string, delta uint64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.mu.byName == nil {
			c.mu.byName = map[string]uint64{}
		}
		c.mu.byName[uid+"."+name] += delta
	}
}

func (c *counters) read() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]uint64{}
	maps.Copy(out, c.mu.byName)
	return out
}

// takeReport keeps the newest figures of a task of the current attempt.
func (m *master) takeReport(r *protocol.TaskReport) {
	if m.reported != m.machine.Attempt() {
		m.reported = m.machine.Attempt()
		clear(m.reports)
	}
	m.reports[graph.IDOf(r.Task)] = r
}

// picture adds the reports up.
func (m *master) picture() Progress {
	p := Progress{
		Status: string(m.machine.Status()), Watermark: math.MaxInt64,
		LastCheckpoint: m.last.id, LastDuration: m.last.took, LastBytes: m.last.bytes,
		Restarts: m.machine.RestartCount(),
	}
	inputs, outputs := map[uint32]int{}, map[uint32]int{}
	for _, e := range m.job.Graph.Edges {
		inputs[e.To]++
		outputs[e.From]++
	}
	sinks := 0
	for _, v := range m.job.Graph.Vertices {
		for i := range v.Parallelism {
			r := m.reports[graph.TaskID{Vertex: v.Id, Subtask: i}]
			if outputs[v.Id] == 0 {
				sinks++
				if r == nil {
					p.Watermark = math.MinInt64
				} else {
					p.Watermark = min(p.Watermark, r.Watermark)
				}
			}
			if r == nil {
				continue
			}
			if inputs[v.Id] == 0 {
				p.RecordsIn += r.Counters[operator.CounterSourceRecords]
			}
			// A sink may run in the chain of an operator that others follow, too.
			p.RecordsOut += r.Counters[operator.CounterSinkRecords]
			p.StateBytes += r.StateBytes
			p.Tasks = append(p.Tasks, r)
		}
	}
	if sinks == 0 {
		p.Watermark = math.MinInt64
	}
	return p
}

// watermark is the smallest over the sources, as far as reported; MinInt64 without.
func (m *master) watermark() int64 {
	smallest := int64(math.MaxInt64)
	for _, id := range m.machine.Execution().Sources() {
		r := m.reports[id]
		if r == nil || m.reported != m.machine.Attempt() {
			return math.MinInt64
		}
		smallest = min(smallest, r.Watermark)
	}
	return smallest
}

// showProgress hands a picture to the goroutine that calls the user; one that is still busy
// misses it.
func (m *master) showProgress() {
	if m.job.Progress == nil {
		return
	}
	select {
	case m.pictures <- m.picture():
	default:
	}
}

// reportProgress calls the user.
func (m *master) reportProgress(ctx context.Context) error {
	for {
		select {
		case p := <-m.pictures:
			m.job.Progress(p)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// result is taken when everything has ended.
func (m *master) result() *Result {
	r := &Result{
		Status: string(m.machine.Status()), JobID: m.started.jobID,
		Lineage: m.started.lineage, Generation: m.started.generation.Number,
		Restored: m.started.restored, Checkpoint: m.last.id,
		Savepoint: m.last.savepoint, Started: m.machine.Started(), Final: m.picture(),
		Counters: m.counters.read(), Notes: m.notes,
	}
	for _, v := range m.job.Graph.Vertices {
		for i := range v.Parallelism {
			report := m.reports[graph.TaskID{Vertex: v.Id, Subtask: i}]
			for name, n := range report.GetCounters() {
				r.Counters[counterName(v, name)] += n
			}
		}
	}
	return r
}

// counterName returns "uid.name". The operators of a chain share their counters, so that a
// name which does not tell its operator goes to the first one with a uid.
func counterName(v *protocol.Vertex, name string) string {
	first := ""
	for _, o := range v.Operators {
		if o.Uid == "" {
			continue
		}
		if strings.HasPrefix(name, o.Uid+".") {
			return name
		}
		if first == "" {
			first = o.Uid
		}
	}
	if first == "" {
		first = v.Name
	}
	return fmt.Sprintf("%s.%s", first, name)
}
