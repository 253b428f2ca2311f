// Package invariant states facts which only a bug or damaged memory can break, and stops the task
// that finds one broken.
//
// [Check] is always compiled in and guards facts whose breach would corrupt results or state.
// Checks that cost more than a comparison stand behind [Enabled], a constant which is true under
// the build tag "invariants" only, so that the compiler drops them from ordinary builds:
//
//	if invariant.Enabled {
//		invariant.Check(sortedByKey(rows), "run rows out of order")
//	}
//
// A breach panics with a [*Violation]. The goroutine group of the task recovers it into an
// internal fault (package lifecycle); nothing else may recover it. Wrong input, a failed disk or a
// refused setting is never an invariant: return an error.
//
// All functions may be called from any goroutine.
package invariant

import "fmt"

// Violation is the panic value of a broken invariant. It is an error, so that it can be found with
// errors.As in the fault made of the panic.
type Violation struct {
	// Message says which fact did not hold, with the values seen.
	Message string
}

// Error returns the message, led by the words that tell a bug from a failure.
func (v *Violation) Error() string { return "invariant broken: " + v.Message }

// Check panics with a *Violation built from format and args unless cond holds.
//
// The arguments are boxed before the call even when cond holds. On a path taken per record, test
// the condition at the call site and call [Fail] in the branch.
func Check(cond bool, format string, args ...any) {
	if !cond {
		Fail(format, args...)
	}
}

// Fail panics with a *Violation: for branches which cannot be reached, and for checks on hot paths.
func Fail(format string, args ...any) {
	panic(&Violation{Message: fmt.Sprintf(format, args...)})
}
