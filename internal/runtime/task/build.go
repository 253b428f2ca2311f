package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// chain is what a task runs, head first.
type chain struct {
	links  []chainLink
	head   operator.Head       // nil for a source
	source operator.SourceHead // nil for a task with input
	// inputs has the input number of every link when the head has several inputs.
	inputs  []int
	several operator.InputHead // the head then
	outputs *outputs
	// keyed and lists are the keyed state of the head; nil without.
	keyed  backend.Backend
	lists  *run.Lists
	bounds types.HashRange
}

// chainLink is one operator of a chain. operator is nil for one without state and life
// cycle.
type chainLink struct {
	uid, name string
	operator  operator.Operator
	// prepared is what the operator has prepared since the last complete checkpoint. An
	// aborted checkpoint commits nothing, so the next one has to.
	prepared []prepared
}

// prepared is what one checkpoint made.
type prepared struct {
	checkpoint   uint64
	committables []*protocol.Committable
}

// build makes the chain from tail to head. Operators made before an error are in the chain,
// to be closed.
func (t *Task) build() error {
	specs := t.deploy.Vertex.Operators
	if len(specs) == 0 {
		return fault.Internal(fmt.Errorf("build chain: vertex %d has no operators",
			t.deploy.Vertex.Id))
	}
	t.chain.links = make([]chainLink, len(specs))
	t.alarms = newAlarms(t.config.Clock, len(specs))
	for i, spec := range specs {
		t.chain.links[i] = chainLink{uid: spec.Uid, name: spec.Name}
	}
	last := len(specs) - 1
	behind, err := t.buildEdges(specs)
	if err != nil {
		return err
	}
	for i := last; i >= 0; i-- {
		env := t.env(specs[i])
		env.WakeAt = func(millis int64) { t.alarms.wish(i, millis) }
		if i == 0 {
			if err := t.buildKeyed(env, specs[0]); err != nil {
				return err
			}
		}
		next, err := behind.next(i, env)
		if err != nil {
			return fmt.Errorf("build operator %q: %w", specs[i].Name, err)
		}
		built, err := t.buildOperator(env, specs[i], next)
		if err != nil {
			return fmt.Errorf("build operator %q: %w", specs[i].Name, err)
		}
		t.chain.links[i].operator = built.Operator
		behind.add(specs, i, built.Link)
	}
	return t.buildHead()
}

func (t *Task) buildOperator(
	env *operator.Env, spec *protocol.Operator, next any,
) (operator.Built, error) {
	factory, err := t.config.Registry.Factory(spec.Kind)
	if err != nil {
		return operator.Built{}, err
	}
	return factory.New(env, spec.Payload, next)
}

// buildHead finds out what drives the chain.
func (t *Task) buildHead() error {
	head, made := t.chain.links[0], false
	if len(t.deploy.Inputs) == 0 {
		t.chain.source, made = head.operator.(operator.SourceHead)
	} else {
		t.chain.head, made = head.operator.(operator.Head)
	}
	if !made {
		return fault.Internal(fmt.Errorf("build chain: %T of %q cannot head a chain with %d inputs",
			head.operator, head.name, len(t.deploy.Inputs)))
	}
	if several, ok := t.chain.head.(operator.InputHead); ok {
		t.chain.several = several
		return t.numberInputs()
	}
	return nil
}

// numberInputs finds the input number of every link of the gate.
func (t *Task) numberInputs() error {
	for _, edge := range t.deploy.Inputs {
		senders := exchange.Senders(edge, t.deploy.Parallelism[edge.From])
		for range senders {
			t.chain.inputs = append(t.chain.inputs, int(edge.Input))
		}
	}
	if len(t.chain.inputs) != t.gate.Len() {
		return fault.Internal(fmt.Errorf("build chain: %d links of %d inputs numbered",
			len(t.chain.inputs), t.gate.Len()))
	}
	return nil
}

// process hands a batch of a link to the head.
func (t *Task) process(link int, b *record.Batch) error {
	if t.chain.several == nil {
		return t.chain.head.Process(b)
	}
	return t.chain.several.ProcessInput(t.chain.inputs[link], b)
}

// buildKeyed makes the backend of a keyed head.
func (t *Task) buildKeyed(env *operator.Env, spec *protocol.Operator) error {
	if !spec.Stateful || len(spec.Descriptors) == 0 {
		return nil
	}
	if t.config.Backend == nil {
		return fault.Internal(fmt.Errorf("build operator %q: no state backend", spec.Name))
	}
	c := &t.chain
	c.bounds = types.SubtaskRange(t.subtask, t.parallelism)
	keyed, err := t.config.Backend.New(backend.Options{Bounds: c.bounds})
	if err != nil {
		return fmt.Errorf("open state backend %q: %w", t.config.Backend.Name(), err)
	}
	c.keyed, c.lists = keyed, run.NewLists(c.bounds)
	env.Keyed = keyed
	return nil
}

func (t *Task) env(spec *protocol.Operator) *operator.Env {
	identity := t.config.Identity
	uid := spec.Uid
	return &operator.Env{
		UID: uid, Name: spec.Name,
		Identity: connector.Identity{
			JobName: identity.JobName, JobID: identity.JobID, Lineage: identity.Lineage,
			Generation: identity.Generation, Attempt: identity.Attempt, Operator: uid,
		},
		Subtask: t.subtask, Parallelism: t.parallelism, Files: t.config.Files,
		Logger: t.logger.With(slog.String("operator", spec.Name)),
		Clock:  t.config.Clock, Counters: &t.counters, Failure: &t.failure,
		OperatorStates: spec.OperatorStates,
		RequestSplit:   func() { t.config.Listener.RequestSplit(t.id, uid) },
	}
}

// restore fills keyed state, then opens the operators from tail to head, so that one that
// emits while it is opened finds the next one ready.
func (t *Task) restore(ctx context.Context) error {
	byUID := map[string]*protocol.RestoreOperator{}
	for _, r := range t.deploy.Restore {
		byUID[r.Uid] = r
	}
	links := t.chain.links
	if head := byUID[links[0].uid]; head != nil && len(head.Panes) > 0 {
		if err := t.restoreKeyed(ctx, head.Panes); err != nil {
			return fmt.Errorf("restore operator %q: %w", links[0].name, err)
		}
	}
	for i := len(links) - 1; i >= 0; i-- {
		if links[i].operator == nil {
			continue
		}
		// An operator the checkpoint does not know starts fresh.
		var restored operator.Restored
		if r := byUID[links[i].uid]; r != nil {
			restored.Checkpoint, restored.List = t.deploy.RestoreCheckpoint, r.List
		}
		if err := links[i].operator.Open(ctx, restored); err != nil {
			return fmt.Errorf("open operator %q: %w", links[i].name, err)
		}
	}
	return t.failure.Err()
}

func (t *Task) restoreKeyed(ctx context.Context, panes []*protocol.PaneRuns) error {
	c := &t.chain
	if c.keyed == nil {
		return fault.Internal(fmt.Errorf("it has keyed state in the checkpoint and none declared"))
	}
	if err := c.lists.Adopt(panes); err != nil {
		return err
	}
	stats, err := run.Restorer{
		Open: t.config.Store.Open, Bounds: c.bounds, Backend: c.keyed, Expiry: t.expiry(),
		NowMillis: t.config.Clock.Now().UnixMilli(),
	}.Restore(ctx, panes)
	if isDamage(err) {
		return fault.External(err, fault.RetryNever) // reading it again finds the same
	}
	if err != nil {
		return err
	}
	t.stateBytes.Store(c.keyed.MemoryBytes())
	t.logger.Info("keyed state restored",
		slog.Uint64("checkpoint_id", t.deploy.RestoreCheckpoint),
		slog.Int("runs", stats.Runs), slog.Int64("bytes", stats.Bytes))
	return nil
}

// isDamage reports whether a restore failed for what is stored, or is missing, and not for the way
// to it.
func isDamage(err error) bool {
	for _, damage := range []error{
		run.ErrTruncated, run.ErrDigest, run.ErrCorrupt, filesystem.ErrNotExist,
	} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}
