package view

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// one yields a single entry.
type one struct{ entries []backend.Entry }

func (o *one) Next() (backend.Entry, bool) {
	if len(o.entries) == 0 {
		return backend.Entry{}, false
	}
	e := o.entries[0]
	o.entries = o.entries[1:]
	return e, true
}

func (o *one) Err() error { return nil }

// Goal: state whose description this version does not understand is shown in bytes. Method: a
// kind with a schema nobody knows.
func TestRaw(t *testing.T) {
	content, _, err := run.Build(&one{[]backend.Entry{{Hash: 7, Key: []byte{1}, Value: []byte{2}}}},
		run.BuildOptions{Bounds: types.AllHashes, Base: true})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(content)
	c := New(&meta.Checkpoint{Operators: []*protocol.OperatorState{{
		Uid: "future", Parallelism: 1, Descriptors: []*protocol.StateDescriptor{{
			Name: "graph", Kind: "graph", KeySchema: "POINT", ValueSchema: "EDGES"}},
		Subtasks: []*protocol.OperatorSubtaskState{{Keyed: &protocol.KeyedState{
			HashHi: types.AllHashes.Hi, Panes: []*protocol.PaneRuns{{
				Pane: int64(backend.NoPane), Runs: []*protocol.Run{{
					Inline: content, Length: int64(len(content)), Digest: digest[:], Rows: 1,
					HashHi: types.AllHashes.Hi, Base: true, Format: run.Format}}}}}}},
	}}}, nil)
	o, err := c.Find("future")
	if err != nil {
		t.Fatal(err)
	}
	sections, err := o.Sections()
	if err != nil || len(sections) != 1 {
		t.Fatal(sections, err)
	}
	var rows [][]string
	err = c.Scan(t.Context(), sections[0], Query{}, func(e Entry) bool {
		rows = append(rows, sections[0].Cells(e, ""))
		return true
	})
	if diff := cmp.Diff([][]string{{"0x01", "0x02"}}, rows); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
