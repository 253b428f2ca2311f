package invariant

import (
	"errors"
	"fmt"
	"testing"
)

// caught runs f and returns what it panicked with, or nil.
func caught(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// Goal: a held fact costs nothing visible and a broken one stops the caller with a typed value.
// Method: call Check and Fail both ways and look at the recovered value.
func TestCheck(t *testing.T) {
	if v := caught(func() { Check(true, "unused %d", 1) }); v != nil {
		t.Fatalf("a held invariant panicked with %v", v)
	}
	const want = "invariant broken: 3 rows, 2 keys"
	for name, f := range map[string]func(){
		"Check": func() { Check(false, "%d rows, %d keys", 3, 2) },
		"Fail":  func() { Fail("%d rows, %d keys", 3, 2) },
	} {
		err, ok := caught(f).(error)
		if !ok {
			t.Fatalf("%s did not panic with an error", name)
		}
		var violation *Violation
		if wrapped := fmt.Errorf("task 1: %w", err); !errors.As(wrapped, &violation) {
			t.Fatalf("%s panicked with %T, want *Violation", name, err)
		}
		if got := violation.Error(); got != want {
			t.Errorf("%s: message %q, want %q", name, got, want)
		}
	}
}

// Goal: a check guarded by its own branch allocates nothing while the fact holds, as the
// documentation promises for per-record paths. Method: count allocations.
func TestFailInBranchDoesNotAllocate(t *testing.T) {
	rows, limit := 1<<40, 1<<41
	allocs := testing.AllocsPerRun(1000, func() {
		if rows > limit {
			Fail("%d rows over %d", rows, limit)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per held check, want 0", allocs)
	}
}
