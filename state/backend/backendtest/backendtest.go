// Package backendtest is the conformance kit of state backends: what every implementation
// of package state/backend must do, sentence by sentence, and a randomized comparison with
// a model.
//
// [Run] runs all of it. [Compare] drives two backends with the same operations and compares
// what they answer. The kit measures nothing. It is for tests only; each test drives its
// backend from one goroutine, and iterates parts from a second one.
//
// Semantics: the doc comments of package state/backend.
package backendtest

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/state/backend"
)

// Run checks the backends that factory makes against the contract. The factory's backends
// must not share state.
func Run(t *testing.T, factory backend.Factory) {
	for _, layout := range layouts() {
		t.Run(layoutName(layout), func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					test.run(&fixture{T: t, factory: factory, layout: layout})
				})
			}
		})
	}
	t.Run("layouts", func(t *testing.T) { testLayouts(&fixture{T: t, factory: factory}) })
	t.Run("random", func(t *testing.T) { runRandom(t, factory) })
	t.Run("collections", func(t *testing.T) { runCollections(t, factory) })
	t.Run("elements", func(t *testing.T) { runElements(t, factory) })
}

var tests = []struct {
	name string
	run  func(*fixture)
}{
	{"resolve", testResolve},
	{"resolve many", testResolveMany},
	{"one hash", testOneHash},
	{"values", testValues},
	{"key bounds", testKeyBounds},
	{"delete", testDelete},
	{"scan", testScan},
	{"sweep", testSweep},
	{"sweep changes", testSweepChanges},
	{"panes", testPanes},
	{"empty snapshot", testEmptySnapshot},
	{"isolation", testIsolation},
	{"confirm", testConfirm},
	{"abort", testAbort},
	{"drop during copy", testDropDuringCopy},
	{"pane made again", testPaneMadeAgain},
	{"restore refuses", testRestoreRefuses},
	{"memory", testMemory},
	{"closed", testClosed},
}

// layouts are the shapes the sentences are checked with: every kind of key, with and
// without values of variable length.
func layouts() []backend.RowLayout {
	return []backend.RowLayout{
		{KeyWords: 1, FixedBytes: 16},
		{KeyWords: 1, FixedBytes: 24, VarSlots: []int{16, 0}},
		{KeyWords: 2, FixedBytes: 48},
		{KeyWords: 0, FixedBytes: 32, VarSlots: []int{8}},
		{KeyWords: 0, FixedBytes: 8},
	}
}

func layoutName(layout backend.RowLayout) string {
	return fmt.Sprintf("words=%d,fixed=%d,slots=%d",
		layout.KeyWords, layout.FixedBytes, len(layout.VarSlots))
}
