package naive_test

import (
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/state/backend/backendtest"
	"github.com/leat-io/leat/state/backend/naive"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: the oracle keeps the contract it is an oracle for. Method: the conformance kit.
func TestConformance(t *testing.T) { backendtest.Run(t, naive.Factory{}) }
