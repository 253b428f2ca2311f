package mini

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// keptNotes is how many notes of the master are kept.
const keptNotes = 1000

// defaultProgressInterval is the time between two pictures of a job.
const defaultProgressInterval = time.Second

// master is the shell of the JobMaster: it feeds inputs to the step function and carries out
// effects. All fields belong to the goroutine of run, unless said otherwise, and after that
// to finish.
type master struct {
	job     Job
	group   *lifecycle.Group
	machine *jobmaster.Master
	inbox   *link // safe for concurrent use
	tasks   *link // the same
	keeper  *keeper
	sweeper *sweeper

	answers  chan answer
	inputs   []jobmaster.Input // to be taken before anything else
	alarms   []time.Time
	started  started // what the keeper found out about this run
	splits   splits
	position map[string][]byte // of the enumerators, for the checkpoint in progress
	ended    *jobmaster.End

	notes    []jobmaster.Note // newest last
	counters *counters        // of enumerators and committers
	reports  map[graph.TaskID]*protocol.TaskReport
	reported uint32        // attempt the reports are of
	pictures chan Progress // to the goroutine that calls Job.Progress
	last     checkpointFigures

	control *Control           // safe for concurrent use
	shown   bool               // OnStart was called
	waiting map[uint64]*waiter // by request
	target  target             // of the newest savepoint
	history history
	// replaced counts the checkpoints completed since the start, until what was claimed goes.
	replaced int
}

// target is where the newest savepoint goes.
type target struct {
	checkpoint uint64
	directory  string // URI
}

// answer is what the keeper has done: an input, and what to do with it first.
type answer struct {
	input   jobmaster.Input
	install func(*master)
}

// run is the loop of the role.
func (m *master) run(ctx context.Context, cancelled <-chan struct{}) error {
	c := m.job.Clock
	timer := c.NewTimer(time.Hour)
	defer timer.Stop()
	progress := c.NewTimer(m.job.ProgressInterval)
	defer progress.Stop()
	stop := m.job.Stop
	defer m.endControl()
	m.step(jobmaster.Start{})
	for m.ended == nil {
		m.setTimer(timer)
		select {
		case <-m.inbox.wake:
			m.takeMessages()
		case a := <-m.answers:
			if a.install != nil {
				a.install(m)
			}
			m.step(a.input)
		case <-timer.C():
			m.tick()
		case do := <-m.control.commands:
			do(m)
		case <-stop:
			stop = nil
			m.step(jobmaster.Stop{})
		case <-cancelled:
			cancelled = nil
			m.step(jobmaster.Cancel{})
		case <-progress.C():
			m.showProgress()
			progress.Reset(m.job.ProgressInterval)
		case <-ctx.Done():
			m.step(jobmaster.RoleFailed{Err: context.Cause(ctx)})
		}
	}
	return nil
}

// setTimer arms the timer for the earliest alarm.
func (m *master) setTimer(timer clock.Timer) {
	now := m.job.Clock.Now()
	next := now.Add(time.Hour)
	for _, at := range m.alarms {
		if at.Before(next) {
			next = at
		}
	}
	timer.Reset(next.Sub(now))
}

// tick tells that time has passed. Only here alarms are dropped: one that is due stays while
// other things come first, since setting the timer again takes an unseen firing back.
func (m *master) tick() {
	now := m.job.Clock.Now()
	m.alarms = slices.DeleteFunc(m.alarms, func(at time.Time) bool { return !at.After(now) })
	m.step(jobmaster.Tick{})
	m.retrySplits()
}

func (m *master) takeMessages() {
	messages, err := m.inbox.receive()
	if err != nil {
		m.step(jobmaster.RoleFailed{Err: err})
		return
	}
	for _, e := range messages {
		if e.JobId != m.started.jobID || e.Generation != m.started.generation.Number ||
			e.Attempt != m.machine.Attempt() {
			m.job.Logger.Debug("void message dropped", slog.String("from", e.From),
				slog.Uint64("generation", e.Generation), slog.Any("attempt", e.Attempt))
			continue
		}
		if r := e.GetTaskReport(); r != nil {
			m.takeReport(r)
			continue
		}
		m.step(jobmaster.FromTask{Message: e})
	}
}

// step feeds an input, then those that its effects led to.
func (m *master) step(in jobmaster.Input) {
	m.inputs = append(m.inputs, in)
	for len(m.inputs) > 0 && m.ended == nil {
		in := m.inputs[0]
		m.inputs = m.inputs[1:]
		for _, e := range m.machine.Step(m.job.Clock.Now(), in) {
			m.carryOut(e)
		}
	}
}

func (m *master) carryOut(e jobmaster.Effect) {
	switch e := e.(type) {
	case jobmaster.Note:
		m.note(e)
	case jobmaster.Prepare:
		m.keeper.work <- func(ctx context.Context) answer { return m.keeper.prepare(ctx, e) }
	case jobmaster.Send:
		m.send(e.Message)
	case jobmaster.Trigger:
		m.trigger(e)
	case jobmaster.AskSplit:
		m.askSplit(e.UID, e.Task)
	case jobmaster.Publish:
		m.publish(e)
	case jobmaster.SavepointTaken:
		m.savepointTaken(e)
	case jobmaster.Answer:
		m.answer(e)
	case jobmaster.Commit:
		m.keeper.work <- func(ctx context.Context) answer {
			return answer{input: m.keeper.commitPublished(ctx, e.ID)}
		}
		m.sweeper.completed(e.ID)
	case jobmaster.Arm:
		m.alarms = append(m.alarms, e.At)
	case jobmaster.End:
		m.ended = &e
	}
}

func (m *master) send(e *protocol.Envelope) {
	e.JobId, e.Generation = m.started.jobID, m.started.generation.Number
	e.From, e.To = masterAddress, tasksAddress
	m.tasks.send(e)
}

// trigger takes the state of the enumerators, then lets the barriers go: splits assigned
// before are on their way to the readers before the barrier, those assigned later are in the
// state taken here.
func (m *master) trigger(e jobmaster.Trigger) {
	directory := ""
	if e.Kind.IsSavepoint() {
		var err error
		if directory, err = m.keeper.store.SavepointDir(e.Request.Directory); err != nil {
			m.inputs = append(m.inputs, jobmaster.TriggerFailed{ID: e.ID, Err: err})
			return
		}
		m.target = target{checkpoint: e.ID, directory: directory}
	}
	position, uid, err := m.splits.snapshot()
	if err != nil {
		m.inputs = append(m.inputs, jobmaster.SplitsFailed{UID: uid, Checkpoint: e.ID, Err: err})
		return
	}
	m.position = position
	for _, message := range e.Messages {
		if s := message.GetTriggerCheckpoint().GetSavepoint(); s != nil {
			s.Directory = directory
		}
		m.send(message)
	}
}

// note logs a decision and keeps it.
func (m *master) note(n jobmaster.Note) {
	if n.Checkpoint != 0 && n.Checkpoint == m.target.checkpoint {
		switch n.Kind {
		case jobmaster.NoteSavepointCompleted, jobmaster.NoteSavepointFailed:
			n.Path = m.target.directory
		}
	}
	if len(m.notes) == keptNotes {
		m.notes = m.notes[1:]
	}
	m.notes = append(m.notes, n)
	level := slog.LevelInfo
	if n.IsWarning() {
		level = slog.LevelWarn
	}
	attrs := n.Attrs()
	if m.started.jobID != "" {
		attrs = append(attrs, slog.String("job_id", m.started.jobID))
	}
	m.job.Logger.LogAttrs(context.Background(), level, string(n.Kind), attrs...)
	m.history.take(n, m.keeper.store)
	switch n.Kind {
	case jobmaster.NoteCheckpointCompleted:
		m.last = checkpointFigures{id: n.Checkpoint, took: n.Duration, bytes: n.StateBytes}
	case jobmaster.NoteCheckpointCommitted:
		m.replaceClaimed()
		m.sweeper.wake()
	case jobmaster.NoteSavepointFailed:
		m.discard(n)
	case jobmaster.NoteStatus:
		m.showStart(n.To)
	}
}
