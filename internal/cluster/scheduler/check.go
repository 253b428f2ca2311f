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
				faults = append(faults, checkOperator(o, state)...)
				faults = append(faults, checkOperatorStates(o, state, allowNonRestored)...)
			}
		}
	}
	if common == 0 && len(c.Operators) > 0 && !allowNonRestored {
		return mismatch(fmt.Errorf("it is of job %q and shares no operator uid with job %q: "+
			"restore from a checkpoint of %q, or allow state that is not restored",
			c.Header.JobName, job.Name, job.Name))
	}
	for _, state := range c.Operators {
		if !known[string(state.Id)] && !allowNonRestored && hasState(state) {
			faults = append(faults, fmt.Errorf("it has state of operator %s, which the job "+
				"does not have: give that uid to an operator, or allow state that is not restored",
				nameOf(state)))
		}
	}
	return mismatch(errors.Join(faults...))
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

// checkOperator compares the states an operator declares with those in the checkpoint.
func checkOperator(o *protocol.Operator, state *protocol.OperatorState) []error {
	if !hasKeyed(state) {
		return nil
	}
	declared, place := map[string]*protocol.StateDescriptor{}, map[string]int{}
	for i, d := range o.Descriptors {
		declared[d.Name], place[d.Name] = d, i
	}
	var faults []error
	stored := map[string]bool{}
	for i, old := range state.Descriptors {
		stored[old.Name] = true
		now := declared[old.Name]
		if now == nil {
			faults = append(faults, fmt.Errorf("operator %q: the checkpoint has state %q "+
				"(%s), which the operator does not declare: declare it again, or give the "+
				"operator a new uid to start it empty", o.Uid, old.Name, describe(old)))
			continue
		}
		if describe(old) == describe(now) && place[old.Name] != i &&
			len(o.Descriptors) == len(state.Descriptors) {
			// Values of one row lie in it in the order of declaration.
			faults = append(faults, fmt.Errorf("operator %q: state %q is number %d of its states "+
				"in the checkpoint and number %d in the job: declare them in the old order",
				o.Uid, old.Name, i+1, place[old.Name]+1))
		}
		if describe(old) != describe(now) {
			faults = append(faults, fmt.Errorf("operator %q: state %q is %s in the checkpoint "+
				"and %s in the job: declare it as it was, or give the operator a new uid to start "+
				"it empty", o.Uid, old.Name, describe(old), describe(now)))
		}
	}
	for _, now := range o.Descriptors {
		if !stored[now.Name] {
			faults = append(faults, fmt.Errorf("operator %q: the checkpoint has no state %q "+
				"(%s) beside that of the operator's other states: keep it in an operator with "+
				"a uid of its own", o.Uid, now.Name, describe(now)))
		}
	}
	return faults
}

func hasKeyed(o *protocol.OperatorState) bool {
	for _, s := range o.Subtasks {
		if len(s.GetKeyed().GetPanes()) > 0 {
			return true
		}
	}
	return false
}

// describe prints what must not change about a state.
func describe(d *protocol.StateDescriptor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s by key %s", d.Kind, d.ValueSchema, d.KeySchema)
	if d.HashId > 1 {
		fmt.Fprintf(&b, ", hash %d", d.HashId)
	}
	if d.Table > 0 {
		fmt.Fprintf(&b, ", table %d", d.Table)
	}
	return b.String()
}
