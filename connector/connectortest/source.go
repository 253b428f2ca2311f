// Package connectortest is the conformance kit of connectors: what the engine relies on in every
// source and sink.
//
// The main functions are [TestBoundedSource] and [TestExactlyOnceSink], each with the set-up it
// needs. Rows are compared as texts of JSON. The kit drives connectors as the engine does, one call
// at a time, and makes the crashes itself. It is for tests only.
//
// Semantics: the contract in package connector.
package connectortest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/format"
)

// BoundedSource is what TestBoundedSource needs.
type BoundedSource struct {
	// Source is under test. Its input must give several splits, one at least with many rows.
	Source connector.Source
	// Env is passed to it.
	Env *connector.Env
	// Want are all rows of the input in any order, as Text gives them, not two of them equal.
	Want []string
	// Text makes rows readable; format/json is at hand.
	Text format.Format
}

// TestBoundedSource checks a bounded source: that its splits give every row once, however many
// readers share them, and still do after a restart from a snapshot taken at any batch.
func TestBoundedSource(t *testing.T, s BoundedSource) {
	s.Want = slices.Sorted(slices.Values(s.Want))
	t.Run("whole", func(t *testing.T) { s.testWhole(t) })
	t.Run("two readers", func(t *testing.T) { s.testReaders(t) })
	t.Run("restart anywhere", func(t *testing.T) { s.testRestarts(t) })
	t.Run("enumerator", func(t *testing.T) { s.testEnumerator(t) })
	t.Run("returned splits", func(t *testing.T) { s.testReturn(t) })
}

// run is a source being read by one reader.
type run struct {
	t          *testing.T
	setup      *BoundedSource
	enumerator connector.Enumerator
	reader     connector.Reader
	added      int // splits given to the reader
	capacity   int
	rows       []string
	done       bool
}

func (s *BoundedSource) start(t *testing.T, restored []byte, splits []connector.Split) *run {
	t.Helper()
	r := &run{t: t, setup: s, capacity: 7}
	var err error
	if r.enumerator, err = s.Source.NewEnumerator(t.Context(), s.Env, restored); err != nil {
		t.Fatal(err)
	}
	if r.reader, err = s.Source.NewReader(t.Context(), s.Env); err != nil {
		t.Fatal(err)
	}
	for _, split := range splits {
		r.add(split)
	}
	return r
}

func (r *run) add(split connector.Split) {
	r.t.Helper()
	if err := r.reader.AddSplit(split); err != nil {
		r.t.Fatal(err)
	}
	r.added++
}

// step polls once, getting a split when the reader wants one.
func (r *run) step() {
	r.t.Helper()
	out := batch.New(r.setup.Source.Schema(), r.capacity)
	polled, err := r.reader.Poll(r.t.Context(), out)
	if err != nil {
		r.t.Fatal(err)
	}
	if out.Len > 0 && (polled.Split < 0 || polled.Split >= r.added) {
		r.t.Fatalf("rows of split %d, %d were added", polled.Split, r.added)
	}
	r.rows = append(r.rows, texts(r.t, r.setup.Text, out)...)
	switch polled.Status {
	case connector.NeedSplit:
		r.next()
	case connector.Wait:
		<-r.reader.Ready()
	}
}

func (r *run) next() {
	r.t.Helper()
	split, ok, done, err := r.enumerator.Next(r.setup.Env.Subtask)
	switch {
	case err != nil:
		r.t.Fatal(err)
	case ok:
		r.add(split)
	case !done:
		r.t.Fatal("a bounded enumerator has no split and is not done")
	default:
		r.done = true
	}
}

func (r *run) finish() []string {
	r.t.Helper()
	for !r.done {
		r.step()
	}
	r.close()
	return r.rows
}

func (r *run) close() {
	r.t.Helper()
	if err := r.reader.Close(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.enumerator.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// texts returns each row as a line.
func texts(t *testing.T, f format.Format, rows *batch.Columns) []string {
	t.Helper()
	encoder, err := f.NewEncoder(rows.Schema)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := encoder.Encode(nil, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows.Len == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(encoded), "\n"), "\n")
}

func (s *BoundedSource) compare(t *testing.T, rows []string) {
	t.Helper()
	if got := slices.Sorted(slices.Values(rows)); !slices.Equal(s.Want, got) {
		t.Fatalf("rows wanted (-) and read (+):\n%s", cmp.Diff(s.Want, got))
	}
}

func (s *BoundedSource) testWhole(t *testing.T) {
	if !s.Source.Bounded() {
		t.Fatal("the source is not bounded")
	}
	r := s.start(t, nil, nil)
	s.compare(t, r.finish())
	if r.added < 2 {
		t.Fatalf("the input gives %d splits: too few for the kit to see anything", r.added)
	}
	splits, err := r.reader.Snapshot()
	if err != nil || len(splits) > 0 {
		t.Fatalf("%d splits are unfinished at the end, %v", len(splits), err)
	}
}

// testReaders gives the splits to two readers in turn, and checks that no identifier comes twice.
func (s *BoundedSource) testReaders(t *testing.T) {
	first := s.start(t, nil, nil)
	second := s.start(t, nil, nil)
	unused := second.enumerator
	second.enumerator = first.enumerator
	seen := make(map[string]bool)
	for !first.done || !second.done {
		for _, r := range []*run{first, second} {
			if !r.done {
				r.step()
			}
			splits, err := r.reader.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			for _, split := range splits {
				other := second
				if r == second {
					other = first
				}
				held, _ := other.reader.Snapshot()
				for _, h := range held {
					if h.ID == split.ID {
						t.Fatalf("both readers have split %q", h.ID)
					}
				}
				seen[split.ID] = true
			}
		}
	}
	s.compare(t, append(first.rows, second.rows...))
	second.enumerator = unused
	first.close()
	second.close()
	if len(seen) < 2 {
		t.Fatalf("%d splits seen", len(seen))
	}
}

// testRestarts stops after every number of polls and goes on from the snapshots in new objects.
func (s *BoundedSource) testRestarts(t *testing.T) {
	for steps := 0; ; steps++ {
		before := s.start(t, nil, nil)
		for range steps {
			if !before.done {
				before.step()
			}
		}
		ended := before.done
		splits, err := before.reader.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		left, err := before.enumerator.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if left == nil {
			t.Fatal("the snapshot of the enumerator is nil, which means a fresh start")
		}
		rows := slices.Clone(before.rows)
		if !ended {
			before.step() // what is read after the snapshot is read again
		}
		before.close()
		after := s.start(t, left, splits)
		after.capacity = 3
		s.compare(t, append(rows, after.finish()...))
		if ended {
			return
		}
	}
}

// testEnumerator restarts the enumerator after every split handed out.
func (s *BoundedSource) testEnumerator(t *testing.T) {
	r := s.start(t, nil, nil)
	for !r.done {
		r.step()
		state, err := r.enumerator.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.enumerator.Close(); err != nil {
			t.Fatal(err)
		}
		r.enumerator, err = s.Source.NewEnumerator(t.Context(), s.Env, state)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.compare(t, r.rows)
	r.close()
}

// testReturn gives splits back that a reader has begun but no checkpoint holds.
func (s *BoundedSource) testReturn(t *testing.T) {
	r := s.start(t, nil, nil)
	var taken []connector.Split
	for {
		split, ok, done, err := r.enumerator.Next(0)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			taken = append(taken, split)
		}
		if done {
			break
		}
	}
	slices.Reverse(taken)
	r.enumerator.Return(taken)
	s.compare(t, r.finish())
}
