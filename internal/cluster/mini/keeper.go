package mini

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// engineVersion goes into checkpoints, for people.
const engineVersion = "leat"

// started is what is fixed for a run once its first attempt is prepared.
type started struct {
	generation store.Generation
	jobID      string
	lineage    string // as operators see it: 8 hexadecimal digits
	restored   uint64
	// from is the URI of the directory of the checkpoint that the run started from, "" for none.
	from string
	// claimed is what is to be removed once this run has replaced it, "" for nothing.
	claimed string
}

// keeper does what takes time: it talks to the store and to committers, one thing after the
// other. Its fields belong to its goroutine, and after that to finish.
type keeper struct {
	job      Job
	store    *store.Store
	work     chan func(context.Context) answer
	answers  chan<- answer
	counters *counters

	begun      bool
	started    started
	start      *store.Found    // what the job was told to start from; nil = empty
	full       bool            // nothing may build on start
	copied     string          // where start was copied from, "" if it was not
	published  *publishedState // newest completed checkpoint of this run
	stopped    target          // the savepoint with which the job was to stop
	committers []committer     // of the current attempt, in graph order
}

// publishedState is what is committed after a checkpoint has completed.
type publishedState struct {
	id        uint64
	operators []*protocol.OperatorState
}

func (w *keeper) run(ctx context.Context) error {
	for {
		select {
		case do := <-w.work:
			w.answers <- do(ctx) // There is room: the answer before was taken before the order.
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// prepare gets an attempt ready.
func (w *keeper) prepare(ctx context.Context, p jobmaster.Prepare) answer {
	prepared, install, err := w.prepareAttempt(ctx, p)
	if err != nil {
		prepared = jobmaster.Prepared{
			Attempt: p.Attempt, Err: err,
			Final: errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrUnknown),
		}
	}
	return answer{input: prepared, install: install}
}

func (w *keeper) prepareAttempt(
	ctx context.Context, p jobmaster.Prepare,
) (jobmaster.Prepared, func(*master), error) {
	install := func(*master) {}
	if !w.begun {
		notes, err := w.begin(ctx)
		if err != nil {
			return jobmaster.Prepared{}, nil, err
		}
		install = w.installStart(notes)
	} else if err := w.store.Confirm(ctx, w.started.generation); err != nil {
		return jobmaster.Prepared{}, install, err
	}
	var err error
	found := w.start
	if p.Checkpoint > 0 {
		place := w.store.CheckpointDir(p.Checkpoint)
		if w.stopped.checkpoint == p.Checkpoint {
			place = w.stopped.directory
		}
		if found, err = w.store.Load(ctx, place); err != nil {
			return jobmaster.Prepared{}, install, err
		}
	}
	prepared := jobmaster.Prepared{
		Attempt: p.Attempt, Lineage: w.started.lineage,
		NextID: w.started.generation.Fence + 1, Full: w.full,
	}
	if found != nil {
		prepared.Checkpoint, prepared.URI = found.Meta, found.URI()
	}
	sources, err := w.connect(ctx, p.Attempt, found)
	if err != nil {
		return jobmaster.Prepared{}, install, err
	}
	return prepared, func(m *master) {
		install(m)
		_ = m.splits.close() // Those of an attempt that failed.
		m.splits.sources = sources
		if found != nil {
			m.note(jobmaster.Note{
				Kind: jobmaster.NoteRestored, At: m.job.Clock.Now(), Attempt: p.Attempt,
				Checkpoint: found.Meta.Header.CheckpointId,
			})
		}
	}, nil
}

// installStart tells the master what begin found out.
func (w *keeper) installStart(notes []jobmaster.Note) func(*master) {
	began := w.started
	newest := w.start != nil && !w.full
	return func(m *master) {
		m.started = began
		m.sweeper.begin(began.generation)
		if newest {
			m.sweeper.completed(began.restored)
		}
		for _, n := range notes {
			n.At = m.job.Clock.Now()
			m.note(n)
		}
	}
}

// connect makes the committers and enumerators of an attempt. What the checkpoint holds is
// committed before anything else runs, then leftovers are removed.
func (w *keeper) connect(
	ctx context.Context, attempt uint32, found *store.Found,
) ([]source, error) {
	if err := w.makeCommitters(ctx, attempt); err != nil {
		return nil, err
	}
	if found != nil && found.NeedsCommit {
		err := w.commit(ctx, found.Meta.Header.CheckpointId, found.Meta.Operators)
		if err != nil {
			return nil, fmt.Errorf("commit checkpoint %d again: %w",
				found.Meta.Header.CheckpointId, explainGone(err, found.Meta.Header))
		}
		if found.Record != nil {
			w.markCommitted(ctx, found.Meta.Header.CheckpointId)
		}
	}
	if err := w.cleanUp(ctx, found); err != nil {
		return nil, err
	}
	var restored *meta.Checkpoint
	if found != nil {
		restored = found.Meta
	}
	return w.makeEnumerators(ctx, attempt, restored)
}

// cleanUp removes what earlier attempts of the sinks left. After a start from another
// checkpoint than the newest, what looks like a leftover may be the prepared output of a newer
// checkpoint that is complete and not committed: until this job has completed a checkpoint
// itself, the next start by name continues from that one.
func (w *keeper) cleanUp(ctx context.Context, found *store.Found) error {
	if found != nil && !found.Newest {
		return nil
	}
	for _, c := range w.committers {
		if err := c.committer.CleanUp(ctx); err != nil {
			return fmt.Errorf("clean up sink %q: %w", c.uid, err)
		}
	}
	return nil
}

func (w *keeper) makeEnumerators(
	ctx context.Context, attempt uint32, restored *meta.Checkpoint,
) ([]source, error) {
	s := splits{}
	err := w.eachFactory(func(v *protocol.Vertex, o *protocol.Operator, f operator.Factory) error {
		maker, ok := f.(operator.EnumeratorFactory)
		if !ok {
			return nil
		}
		e, err := maker.NewEnumerator(ctx, w.env(v, o, attempt),
			scheduler.Position(restored, o.Uid))
		if err != nil {
			return fmt.Errorf("find splits of source %q: %w", o.Uid, err)
		}
		if e != nil {
			s.sources = append(s.sources, source{uid: o.Uid, enumerator: e})
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s.sources, nil
}

// eachFactory calls f for every operator in graph order.
func (w *keeper) eachFactory(
	f func(*protocol.Vertex, *protocol.Operator, operator.Factory) error,
) error {
	for _, v := range w.job.Graph.Vertices {
		for _, o := range v.Operators {
			factory, err := w.job.Registry.Factory(o.Kind)
			if err != nil {
				return err
			}
			if err := f(v, o, factory); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *keeper) env(v *protocol.Vertex, o *protocol.Operator, attempt uint32) *connector.Env {
	return &connector.Env{
		Files: w.job.Files, Logger: w.job.Logger.With("operator", o.Name),
		Parallelism: int(v.Parallelism), Count: w.counters.of(o.Uid),
		Identity: connector.Identity{
			JobName: w.job.Name, JobID: w.started.jobID, Lineage: w.started.lineage,
			Generation: w.started.generation.Number, Attempt: attempt, Operator: o.Uid,
		},
	}
}

// publish completes a checkpoint in the store. The checkpoint is put together here and now;
// the writing is the keeper's.
func (m *master) publish(e jobmaster.Publish) {
	header := m.header(e)
	c, err := scheduler.Assemble(m.machine.Execution(), header, e.Acks, m.position)
	generation, directory := m.started.generation, m.target.directory
	m.keeper.work <- func(ctx context.Context) answer {
		outcome := store.Failed
		switch {
		case err != nil:
		case e.Kind.IsSavepoint():
			outcome, err = m.keeper.store.PublishSavepoint(ctx, generation, c, directory)
		default:
			outcome, err = m.keeper.store.PublishCheckpoint(ctx, generation, c)
		}
		in := jobmaster.Published{ID: e.ID, Outcome: outcomeOf(outcome), Err: err}
		if outcome == store.Committed && e.Kind != coordinator.KindSavepoint {
			m.keeper.published = &publishedState{id: e.ID, operators: c.Operators}
		}
		if outcome == store.Committed && e.Kind == coordinator.KindStopSavepoint {
			m.keeper.stopped = target{checkpoint: e.ID, directory: directory}
		}
		return answer{input: in}
	}
}

// header makes the header of a checkpoint or savepoint.
func (m *master) header(e jobmaster.Publish) *protocol.CheckpointHeader {
	digest := sha256.Sum256([]byte(graph.DumpJob(m.job.Graph)))
	h := &protocol.CheckpointHeader{
		JobId: m.started.jobID, JobName: m.job.Name, Lineage: m.keeper.store.Identity().Lineage,
		CheckpointId: e.ID, Generation: m.started.generation.Number,
		TriggerMillis: e.TriggerMillis, EngineVersion: engineVersion, Kind: meta.KindCheckpoint,
		GraphDigest: digest[:], Watermark: m.watermark(), Claimed: m.started.claimed,
	}
	switch {
	case e.Kind == coordinator.KindFinal:
		h.Kind = meta.KindFinal
	case e.Kind.IsSavepoint():
		h.Kind, h.Stop = meta.KindSavepoint, e.Kind == coordinator.KindStopSavepoint
		h.Drained, h.Periodic = e.Request.Drain, e.Request.ID == 0
		if !h.Stop {
			h.Claimed = "" // Nobody goes on from it by name.
		}
	}
	return h
}

func outcomeOf(o store.Outcome) coordinator.Outcome {
	switch o {
	case store.Committed:
		return coordinator.OutcomeCompleted
	case store.Fenced:
		return coordinator.OutcomeFenced
	case store.Unknown:
		return coordinator.OutcomeUnknown
	}
	return coordinator.OutcomeFailed
}
