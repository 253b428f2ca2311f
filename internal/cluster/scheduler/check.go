package scheduler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
)

// ErrMismatch says that a checkpoint does not fit the job.
var ErrMismatch = errors.New("checkpoint does not fit the job")

// Check reports everything that keeps a job from starting from a checkpoint: state declared
// otherwise, state without an operator (unless allowed), a checkpoint of another job.
// Parallelism is checked by graph.Validate. The error wraps ErrMismatch and is the user's.
func Check(job *protocol.JobGraph, c *meta.Checkpoint, allowNonRestored bool) error {
	var faults []error
	known := map[string]bool{} // operator ids
	common := 0
	for _, v := range job.Vertices {
		for _, o := range v.Operators {
			if o.Uid == "" {
				continue
			}
			id := meta.OperatorID(o.Uid)
			known[string(id[:])] = true
			if state := find(c, o.Uid); state != nil {
				common++
				faults = append(faults, checkKeyed(o, state, allowNonRestored)...)
				faults = append(faults, checkOperatorStates(o, state, allowNonRestored)...)
			}
		}
	}
	if common == 0 && len(c.Operators) > 0 && !allowNonRestored {
		return mismatch(fmt.Errorf("it is of job %q and shares no operator uid with job %q: "+
			"it has %s, the job has %s: restore from a checkpoint of this program, give its "+
			"operators their old uids, or allow state that is not restored (-n)",
			c.Header.JobName, job.Name, someUIDs(c.Operators), someUIDs(operatorsOf(job))))
	}
	for _, state := range c.Operators {
		if !known[string(state.Id)] && !allowNonRestored && hasState(state) {
			faults = append(faults, fmt.Errorf("it has state of operator %s, which the job "+
				"does not have: give that uid to an operator, or allow state that is not "+
				"restored (-n)", nameOf(state)))
		}
	}
	return mismatch(errors.Join(faults...))
}

// operatorsOf returns the operators of a job that have a uid.
func operatorsOf(job *protocol.JobGraph) []*protocol.Operator {
	var out []*protocol.Operator
	for _, v := range job.Vertices {
		for _, o := range v.Operators {
			if o.Uid != "" {
				out = append(out, o)
			}
		}
	}
	return out
}

// someUIDs names a few operators.
func someUIDs[O interface{ GetUid() string }](operators []O) string {
	const most = 4
	var names []string
	for i, o := range operators {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprintf("%q", o.GetUid()))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func mismatch(err error) error {
	if err == nil {
		return nil
	}
	return fault.User(fmt.Errorf("%w: %w", ErrMismatch, err))
}

func nameOf(o *protocol.OperatorState) string {
	if o.Uid == "" {
		return fmt.Sprintf("id %x", o.Id)
	}
	return fmt.Sprintf("%q", o.Uid)
}

// hasState reports whether something would be lost without the operator.
func hasState(o *protocol.OperatorState) bool {
	if o.Coordinator != nil {
		return true
	}
	for _, s := range o.Subtasks {
		if len(s.GetKeyed().GetPanes()) > 0 || len(s.GetCommittables()) > 0 {
			return true
		}
		for _, list := range s.GetList() {
			if len(list.Elements) > 0 {
				return true
			}
		}
	}
	return false
}
