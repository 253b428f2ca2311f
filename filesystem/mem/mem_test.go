package mem_test

import (
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fstest"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: the store in memory keeps the contract.
// Method: the conformance kit.
func TestContract(t *testing.T) {
	fstest.Run(t, func(*testing.T) filesystem.FileSystem { return mem.New(mem.Options{}) })
}
