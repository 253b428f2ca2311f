package backendtest_test

import (
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/state/backend/backendtest"
	"github.com/leat-io/leat/state/backend/naive"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// TestCompare checks the comparison itself: a backend agrees with itself.
func TestCompare(t *testing.T) { backendtest.Compare(t, naive.Factory{}, naive.Factory{}) }
