package mini

import (
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// splitRetry is the time after which an enumerator that had no split is asked again.
const splitRetry = 100 * time.Millisecond

// splits are the enumerators of an attempt and the readers that wait for one.
type splits struct {
	sources []source // in graph order
	waiting []jobmaster.AskSplit
	retry   time.Time
}

type source struct {
	uid        string
	enumerator connector.Enumerator
}

// snapshot returns the state of all enumerators by uid. With an error, uid is the one that
// failed.
func (s *splits) snapshot() (position map[string][]byte, uid string, err error) {
	position = map[string][]byte{}
	for _, src := range s.sources {
		state, err := src.enumerator.Snapshot()
		if err != nil {
			return nil, src.uid, err
		}
		position[src.uid] = state
	}
	return position, "", nil
}

func (s *splits) close() error {
	var errs []error
	for _, src := range s.sources {
		if err := src.enumerator.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close enumerator of %q: %w", src.uid, err))
		}
	}
	*s = splits{}
	return errors.Join(errs...)
}

// askSplit answers a reader that asks for a split.
func (m *master) askSplit(uid string, task graph.TaskID) {
	for _, src := range m.splits.sources {
		if src.uid != uid {
			continue
		}
		split, ok, done, err := src.enumerator.Next(int(task.Subtask))
		switch {
		case err != nil:
			m.inputs = append(m.inputs, jobmaster.SplitsFailed{UID: uid, Err: err})
		case !ok && !done:
			m.splits.waiting = append(m.splits.waiting, jobmaster.AskSplit{Task: task, UID: uid})
			m.splits.retry = m.job.Clock.Now().Add(splitRetry)
			m.alarms = append(m.alarms, m.splits.retry)
		default:
			a := &protocol.AssignSplits{Task: task.Proto(), Uid: uid, NoMore: done}
			if ok {
				a.Splits = []*protocol.Split{
					{Id: split.ID, Version: split.Version, Data: split.Data},
				}
			}
			m.send(&protocol.Envelope{
				Attempt: m.machine.Attempt(),
				Body:    &protocol.Envelope_AssignSplits{AssignSplits: a},
			})
		}
		return
	}
	m.inputs = append(m.inputs, jobmaster.SplitsFailed{
		UID: uid, Err: errors.New("the operator has none"),
	})
}

// retrySplits asks again for the readers that wait.
func (m *master) retrySplits() {
	if len(m.splits.waiting) == 0 || m.job.Clock.Now().Before(m.splits.retry) {
		return
	}
	waiting := m.splits.waiting
	m.splits.waiting = nil
	for _, w := range waiting {
		m.askSplit(w.UID, w.Task)
	}
	if len(m.inputs) > 0 {
		m.step(jobmaster.Tick{})
	}
}
