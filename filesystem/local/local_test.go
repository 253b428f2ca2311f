package local_test

import (
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fstest"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: the local store keeps the contract.
// Method: the conformance kit, in a fresh directory for each promise.
func TestContract(t *testing.T) {
	fstest.Run(t, func(t *testing.T) filesystem.FileSystem {
		return local.New(local.Options{Root: t.TempDir()})
	})
}
