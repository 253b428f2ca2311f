package run

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// smallState writes a checkpoint of two panes into one object and returns both.
func smallState(t *testing.T) (*store, string, []*protocol.PaneRuns) {
	t.Helper()
	s, l := newStore(), NewLists(types.AllHashes)
	a, b := backend.PaneID{Pane: backend.NoPane}, backend.PaneID{Table: 1, Pane: 5}
	long := strings.Repeat("long", inlineBytes/2) // Not inline, and small once compressed.
	parts := []backend.Part{partOf(a, true, "x", long), partOf(b, true, "y", "z")}
	state, _, err := l.Write(context.Background(), parts, []backend.PaneID{a, b}, 1, s)
	if err != nil {
		t.Fatal(err)
	}
	paths := slices.Collect(maps.Keys(s.objects))
	if len(paths) != 1 {
		t.Fatalf("%d objects", len(paths))
	}
	return s, paths[0], state.Panes
}

func restored(s *store, panes []*protocol.PaneRuns) error {
	f := &filled{panes: map[backend.PaneID]rows{}}
	_, err := Restore(context.Background(), s.open, panes, types.AllHashes, f)
	if s.opened != 0 {
		return errors.New("objects stay open")
	}
	return err
}

// TestFlippedByteRefused flips every byte of an object, one after the other, and expects an error
// that names object and offset.
func TestFlippedByteRefused(t *testing.T) {
	s, path, panes := smallState(t)
	if err := restored(s, panes); err != nil {
		t.Fatal(err)
	}
	second := panes[1].Runs[0].Offset
	for i := range s.objects[path] {
		s.objects[path][i] ^= 1 << (i % 8)
		err := restored(s, panes)
		s.objects[path][i] ^= 1 << (i % 8)
		offset := int64(0)
		if int64(i) >= second {
			offset = second
		}
		where := fmt.Sprintf("%q at offset %d", path, offset)
		if !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), where) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	t.Logf("%d bytes", len(s.objects[path]))
}

// TestTruncationRefused cuts an object to every length, with its size recorded and with the cut
// size recorded, and expects an error that names it.
func TestTruncationRefused(t *testing.T) {
	s, path, panes := smallState(t)
	whole := s.objects[path]
	for n := range whole {
		s.objects[path] = whole[:n]
		err := restored(s, panes)
		if !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), path) {
			t.Fatalf("cut to %d: %v", n, err)
		}
		told := proto.Clone(&protocol.KeyedState{Panes: panes}).(*protocol.KeyedState).Panes
		for _, p := range told {
			p.Runs[0].File.Size = int64(n)
		}
		err = restored(s, told)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Fatalf("cut to %d, as recorded: %v", n, err)
		}
	}
	s.objects[path] = append(slices.Clip(whole), 0)
	if err := restored(s, panes); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte longer: %v", err)
	}
	delete(s.objects, path)
	if err := restored(s, panes); !errors.Is(err, filesystem.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
}

// TestInlineRefused damages a run that lies in the metadata.
func TestInlineRefused(t *testing.T) {
	s, l := newStore(), NewLists(types.AllHashes)
	id := backend.PaneID{}
	parts := []backend.Part{partOf(id, true, "x")}
	state, _, err := l.Write(context.Background(), parts, []backend.PaneID{id}, 1, s)
	if err != nil {
		t.Fatal(err)
	}
	r := state.Panes[0].Runs[0]
	whole := r.Inline
	for n := range whole {
		r.Inline = whole[:n]
		if err := restored(s, state.Panes); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut to %d: %v", n, err)
		}
		r.Inline = slices.Clone(whole)
		r.Inline[n] ^= 0x10
		if err := restored(s, state.Panes); !errors.Is(err, ErrDigest) {
			t.Fatalf("byte %d flipped: %v", n, err)
		}
	}
}

// TestDamageBehindDigest flips every byte and makes the digest fit, so that the table reader meets
// the damage itself: nothing may panic, and where no error comes, no row may differ.
func TestDamageBehindDigest(t *testing.T) {
	want := rows{}
	for i := range uint32(40) {
		want[string(appendKey(nil, i*1000, []byte("key")))] = fmt.Sprintf("value %d", i)
	}
	content, _, err := Build(&listed{changes: want.changes()},
		BuildOptions{Bounds: types.AllHashes, Base: true})
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range content {
		content[i] ^= 1 << (i % 8)
		got, err := readAll(content)
		content[i] ^= 1 << (i % 8)
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt):
			t.Fatalf("byte %d: %v", i, err)
		case err != nil:
			refused++
		case !maps.Equal(want, got):
			t.Fatalf("byte %d: other rows", i)
		}
	}
	t.Logf("%d of %d flips refused", refused, len(content))
	for n := range content {
		if _, err := readAll(content[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

// readAll reads bytes as a run whose digest fits.
func readAll(content []byte) (rows, error) {
	digest := sha256.Sum256(content)
	reader, err := Open(content, digest[:])
	if err != nil {
		return nil, err
	}
	got, err := collect(Merge([]Source{{reader, types.AllHashes}}, types.AllHashes))
	return got, errors.Join(err, reader.Close())
}

// TestReferencesRefused damages references and expects ErrCorrupt or a word on the format.
func TestReferencesRefused(t *testing.T) {
	s, _, panes := smallState(t)
	damage := map[string]func(r *protocol.Run){
		"format":          func(r *protocol.Run) { r.Format = 2 },
		"bounds":          func(r *protocol.Run) { r.HashLo, r.HashHi = 2, 1 },
		"digest":          func(r *protocol.Run) { r.Digest = r.Digest[1:] },
		"negative offset": func(r *protocol.Run) { r.Offset = -1 },
		"no length":       func(r *protocol.Run) { r.Length = 0 },
		"beyond object":   func(r *protocol.Run) { r.Length = 1 << 60 },
		"overflow":        func(r *protocol.Run) { r.Offset, r.Length = 1<<62, 1<<62 },
		"huge object":     func(r *protocol.Run) { r.Length, r.File.Size = 1<<60, 1<<60 },
		"both":            func(r *protocol.Run) { r.Inline = []byte{1} },
		"inline, nothing": func(r *protocol.Run) { r.File = nil },
	}
	for name, f := range damage {
		broken := proto.Clone(&protocol.KeyedState{Panes: panes}).(*protocol.KeyedState).Panes
		f(broken[0].Runs[0])
		if err := restored(s, broken); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestGuard panics the way Pebble and we would: the first is an error, the second goes on.
func TestGuard(t *testing.T) {
	guarded := func(f func()) (err error) {
		defer guard(&err)
		f()
		return nil
	}
	if err := guarded(func() { _ = []int{}[len(t.Name())] }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("index out of range: %v", err)
	}
	defer func() {
		if _, ok := recover().(*invariant.Violation); !ok {
			t.Error("a broken invariant was swallowed")
		}
	}()
	_ = guarded(func() { invariant.Fail("broken") })
}

// FuzzOpen reads garbage behind a fitting digest: an error or rows, never a panic.
func FuzzOpen(f *testing.F) {
	value := "value"
	for _, base := range []bool{false, true} {
		changes := []change{{"\x00\x00\x00\x01a", &value}, {"\x00\x00\x00\x02b", nil}}
		content, _, err := Build(&listed{changes: changes},
			BuildOptions{Bounds: types.AllHashes, Base: base})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := readAll(content); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Logf("refused otherwise: %v", err) // Entries out of order, from collect.
		}
	})
}
