package table

import (
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/state/ordered"
	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend/backendtest"
	"github.com/leat-io/leat/state/backend/naive"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// small limits make segments split, pages fill and collections become trees a thousand times
// more often.
var small = Factory{limits: limits{
	segmentBits: 6, segmentBytes: 8 << 10, firstVersion: 1,
	ordered: ordered.Limits{Block: 192, Demote: 128, Node: 384},
}}

// Goal: the row table keeps the contract. Method: the conformance kit, with sizes as in
// production and with small ones; the latter near the end of the version numbers, which
// then wrap.
func TestConformance(t *testing.T) {
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		backendtest.Run(t, Factory{})
	})
	wrapping := small
	wrapping.limits.firstVersion = version.Last - 6
	t.Run("small", func(t *testing.T) {
		t.Parallel()
		backendtest.Run(t, wrapping)
	})
}

// Goal: row table and oracle answer alike. Method: the same random operations on both.
func TestAgainstNaive(t *testing.T) {
	t.Parallel()
	backendtest.Compare(t, small, naive.Factory{})
}
