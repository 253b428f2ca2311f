package connectortest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
)

// ExactlyOnceSink is what TestExactlyOnceSink needs.
type ExactlyOnceSink struct {
	// New makes the sink under test for an output that is empty at first.
	New func(t *testing.T) connector.Sink
	// Rows makes rows that are all different; seed makes them different from those of others.
	Rows func(n int, seed int) *batch.Columns
	// Visible returns what a reader of the output sees now, one line for each row in any order.
	Visible func(t *testing.T, files *filesystem.Registry) []string
	// Texts returns the lines that Visible gives for rows.
	Texts func(rows *batch.Columns) []string
	// Leftovers counts what is there and not visible.
	Leftovers func(t *testing.T, files *filesystem.Registry) int
	// Files makes an empty store for each test.
	Files func(t *testing.T) *filesystem.Registry
	// Crash returns the store as a new process finds it after a crash of this one.
	Crash func(t *testing.T, files *filesystem.Registry) *filesystem.Registry
}

// TestExactlyOnceSink checks a sink with a committer.
func TestExactlyOnceSink(t *testing.T, s ExactlyOnceSink) {
	t.Run("visible with the commit", func(t *testing.T) { s.testCommit(t) })
	t.Run("nothing written", func(t *testing.T) { s.testEmpty(t) })
	t.Run("crash after prepare", func(t *testing.T) { s.testCrash(t) })
	t.Run("commit half done", func(t *testing.T) { s.testHalf(t) })
	t.Run("abort", func(t *testing.T) { s.testAbort(t) })
	t.Run("close drops", func(t *testing.T) { s.testClose(t) })
	t.Run("clean up", func(t *testing.T) { s.testCleanUp(t) })
}

// writes is how often many rows are written, more than a buffer holds.
const writes = 5

// process is a sink within one attempt of a job.
type process struct {
	t     *testing.T
	setup *ExactlyOnceSink
	sink  connector.Sink
	env   connector.Env
}

func (s *ExactlyOnceSink) process(t *testing.T, files *filesystem.Registry) *process {
	return &process{t: t, setup: s, sink: s.New(t), env: connector.Env{
		Files: files, Parallelism: 2,
		Identity: connector.Identity{
			JobName: "flights", JobID: "00112233445566778899aabbccddeeff", Lineage: "0a1b2c3d",
			Generation: 5, Attempt: 2, Operator: "sink",
		},
	}}
}

// as returns the same process with something changed in its environment.
func (p *process) as(change func(env *connector.Env)) *process {
	other := *p
	change(&other.env)
	return &other
}

func (p *process) writer(subtask int) connector.Writer {
	p.t.Helper()
	env := p.env
	env.Subtask = subtask
	w, err := p.sink.NewWriter(p.t.Context(), &env)
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

func (p *process) committer() connector.Committer {
	p.t.Helper()
	env := p.env
	c, err := p.sink.NewCommitter(p.t.Context(), &env)
	if err != nil {
		p.t.Fatal(err)
	}
	if c == nil {
		p.t.Fatal("the sink has no committer")
	}
	return c
}

func (p *process) write(w connector.Writer, rows *batch.Columns) {
	p.t.Helper()
	if err := w.Write(p.t.Context(), rows, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) prepare(w connector.Writer, checkpoint uint64) []connector.Committable {
	p.t.Helper()
	committables, err := w.Prepare(p.t.Context(), checkpoint)
	if err != nil {
		p.t.Fatal(err)
	}
	return committables
}

func (p *process) commit(checkpoint uint64, committables []connector.Committable) {
	p.t.Helper()
	c := p.committer()
	if err := c.Commit(p.t.Context(), checkpoint, committables); err != nil {
		p.t.Fatal(err)
	}
	closeAll(p.t, c)
}

type closer interface{ Close() error }

func closeAll(t *testing.T, closers ...closer) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// see compares what is visible with the rows.
func (p *process) see(when string, rows ...*batch.Columns) {
	p.t.Helper()
	want := []string{}
	for _, r := range rows {
		want = append(want, p.setup.Texts(r)...)
	}
	slices.Sort(want)
	got := append([]string{}, p.setup.Visible(p.t, p.env.Files)...)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		p.t.Fatalf("%s: rows wanted (-) and visible (+):\n%s", when, cmp.Diff(want, got))
	}
}

func (p *process) leftovers(when string, want int) {
	p.t.Helper()
	if got := p.setup.Leftovers(p.t, p.env.Files); (got == 0) != (want == 0) {
		p.t.Fatalf("%s: %d leftovers, want %d", when, got, want)
	}
}

// testCommit writes three checkpoints from two subtasks, with a selection and with many rows.
func (s *ExactlyOnceSink) testCommit(t *testing.T) {
	p := s.process(t, s.Files(t))
	first, second := p.writer(0), p.writer(1)
	var visible []*batch.Columns
	for checkpoint := uint64(1); checkpoint <= 3; checkpoint++ {
		seed := int(checkpoint) * 10
		a, b, many := s.Rows(5, seed), s.Rows(5, seed+1), s.Rows(2000, seed+2)
		p.write(first, a)
		if err := second.Write(t.Context(), b, []uint16{4, 0, 2}); err != nil {
			t.Fatal(err)
		}
		for range writes { // the same rows of several writes are all kept
			p.write(second, many)
		}
		p.see("before prepare", visible...)
		committables := append(p.prepare(first, checkpoint), p.prepare(second, checkpoint)...)
		p.see("before commit", visible...)
		p.commit(checkpoint, committables)
		selected := batch.New(b.Schema, 3)
		b.Gather(selected, []uint16{4, 0, 2})
		visible = append(visible, a, selected)
		for range writes {
			visible = append(visible, many)
		}
		p.see("after commit", visible...)
		p.commit(checkpoint, committables)
		p.see("after commit twice", visible...)
	}
	closeAll(t, first, second)
	p.leftovers("at the end", 0)
}

// testEmpty checks that a checkpoint without rows leaves nothing.
func (s *ExactlyOnceSink) testEmpty(t *testing.T) {
	p := s.process(t, s.Files(t))
	w := p.writer(0)
	p.write(w, s.Rows(0, 0))
	if err := w.Write(t.Context(), s.Rows(3, 0), []uint16{}); err != nil {
		t.Fatal(err)
	}
	p.commit(1, p.prepare(w, 1))
	p.see("without rows")
	p.leftovers("without rows", 0)
	closeAll(t, w)
}

// testCrash loses the process between prepare and commit; the next one commits from the bytes.
func (s *ExactlyOnceSink) testCrash(t *testing.T) {
	p := s.process(t, s.Files(t))
	w := p.writer(0)
	rows, lost, again := s.Rows(50, 1), s.Rows(2000, 2), s.Rows(2000, 3)
	p.write(w, rows)
	committables := p.prepare(w, 1)
	for range writes {
		p.write(w, lost)
	}
	next := s.process(t, s.Crash(t, p.env.Files)).as(func(env *connector.Env) {
		env.Identity.Attempt++
	})
	next.see("after the crash")
	next.commit(1, committables)
	next.see("after the commit", rows)
	c := next.committer()
	if err := c.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	next.see("after the clean up", rows)
	next.leftovers("after the clean up", 0)
	writer := next.writer(0)
	next.write(writer, again)
	next.commit(2, next.prepare(writer, 2))
	next.see("after the next checkpoint", rows, again)
	closeAll(t, c, writer)
}

// testHalf crashes in the middle of a commit: some are published, all are committed again.
func (s *ExactlyOnceSink) testHalf(t *testing.T) {
	p := s.process(t, s.Files(t))
	first, second := p.writer(0), p.writer(1)
	a, b := s.Rows(5, 1), s.Rows(5, 2)
	p.write(first, a)
	p.write(second, b)
	half := p.prepare(first, 1)
	all := append(slices.Clone(half), p.prepare(second, 1)...)
	p.commit(1, half)
	next := s.process(t, s.Crash(t, p.env.Files)).as(func(env *connector.Env) {
		env.Identity.Generation++
	})
	next.commit(1, all)
	next.see("after both commits", a, b)
}

// testAbort drops what was prepared, and a published checkpoint not at all.
func (s *ExactlyOnceSink) testAbort(t *testing.T) {
	p := s.process(t, s.Files(t))
	w, c := p.writer(0), p.committer()
	rows := s.Rows(5, 1)
	p.write(w, s.Rows(5, 0))
	dropped := p.prepare(w, 1)
	p.write(w, rows)
	kept := p.prepare(w, 2)
	for range 2 {
		if err := c.Abort(t.Context(), dropped); err != nil {
			t.Fatal(err)
		}
	}
	p.commit(2, kept)
	if err := c.Abort(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	p.see("after the abort", rows)
	p.leftovers("after the abort", 0)
	if err := c.Commit(t.Context(), 1, dropped); err == nil {
		t.Fatal("an aborted checkpoint commits without an error")
	}
	closeAll(t, w, c)
}

// testClose closes a writer with rows that no checkpoint has.
func (s *ExactlyOnceSink) testClose(t *testing.T) {
	p := s.process(t, s.Files(t))
	w := p.writer(0)
	for range writes {
		p.write(w, s.Rows(2000, 0))
	}
	closeAll(t, w)
	p.see("after close")
	p.leftovers("after close", 0)
}

// testCleanUp checks whose leftovers are removed.
func (s *ExactlyOnceSink) testCleanUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(id *connector.Identity)
		gone   bool
	}{
		{"attempt before", func(id *connector.Identity) { id.Attempt-- }, true},
		{"generation before", func(id *connector.Identity) { id.Generation, id.Attempt = 4, 9 },
			true},
		{"generation with more digits", func(id *connector.Identity) { id.Generation = 10 }, false},
		{"generation behind", func(id *connector.Identity) { id.Generation, id.Attempt = 6, 0 },
			false},
		{"attempt behind", func(id *connector.Identity) { id.Attempt++ }, false},
		{"own attempt", func(*connector.Identity) {}, false},
		{"other job", func(id *connector.Identity) { id.JobName, id.Generation = "rains", 1 },
			false},
		{"other operator", func(id *connector.Identity) { id.Operator, id.Generation = "b", 1 },
			false},
		{"other lineage", func(id *connector.Identity) {
			id.Lineage, id.Generation = "ffffffff", 1
		},
			false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.process(t, s.Files(t))
			other := p.as(func(env *connector.Env) { test.change(&env.Identity) })
			w := other.writer(0)
			rows := s.Rows(5, 1)
			other.write(w, rows)
			prepared := other.prepare(w, 1)
			c := p.committer()
			for range 2 {
				if err := c.CleanUp(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			want := 1
			if test.gone {
				want = 0
			}
			p.leftovers(fmt.Sprintf("%s, gone %t", test.name, test.gone), want)
			if !test.gone {
				other.commit(1, prepared)
				other.see("after the commit of the other", rows)
			}
			closeAll(t, w, c)
		})
	}
}
