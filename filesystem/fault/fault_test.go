package fault_test

import (
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/fstest"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: without rules the wrapper keeps the contract of what it wraps.
// Method: the conformance kit.
func TestContractWithoutFaults(t *testing.T) {
	fstest.Run(t, func(t *testing.T) filesystem.FileSystem {
		return fault.New(mem.New(mem.Options{}), plan(t))
	})
}

func plan(t *testing.T, rules ...fault.Rule) *fault.Plan {
	t.Helper()
	p, err := fault.NewPlan(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
