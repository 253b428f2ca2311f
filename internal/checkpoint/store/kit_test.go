package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const jobName = "flights"

// seeded is a deterministic source of random bytes.
func seeded(seed uint64) io.Reader {
	return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
}

// rootOf returns a root URI for a store of either kind.
func rootOf(files filesystem.FileSystem) string { return uriOf(files, "/bucket/ck") }

func open(t testing.TB, files filesystem.FileSystem, seed uint64) *Store {
	t.Helper()
	s, err := OpenRandom(t.Context(), filesystem.NewRegistry(files), rootOf(files), jobName,
		seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachStore runs a test on the stores in memory and on disk.
func eachStore(t *testing.T, f func(t *testing.T, files filesystem.FileSystem)) {
	t.Run("mem", func(t *testing.T) { f(t, mem.New(mem.Options{})) })
	t.Run("local", func(t *testing.T) { f(t, local.New(local.Options{Root: t.TempDir()})) })
}

func planOf(t testing.TB, rules ...fault.Rule) *fault.Plan {
	t.Helper()
	p, err := fault.NewPlan(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// master is a store in office.
type master struct {
	*Store
	gen   Generation
	found *Found // restored from, or nil
	next  uint64 // checkpoint id
}

// takeOver begins a generation and restores from the newest checkpoint, if there is one.
func takeOver(ctx context.Context, s *Store) (*master, error) {
	gen, err := s.NewGeneration(ctx)
	if err != nil {
		return nil, err
	}
	m := &master{Store: s, gen: gen, next: gen.Fence + 1}
	m.found, err = s.Latest(ctx)
	if err != nil && !errors.Is(err, ErrNoCheckpoint) {
		return nil, err
	}
	_, err = s.Adopt(m.found)
	return m, err
}

func begin(t testing.TB, files filesystem.FileSystem, seed uint64) *master {
	t.Helper()
	m, err := takeOver(t.Context(), open(t, files, seed))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// checkpoint returns a checkpoint of the next id that refers to files.
func (m *master) checkpoint(references ...string) *meta.Checkpoint {
	number := m.next
	m.next++
	return m.checkpointOf(number, references...)
}

func (m *master) checkpointOf(number uint64, references ...string) *meta.Checkpoint {
	id := meta.OperatorID("op")
	pane := &protocol.PaneRuns{Table: 1}
	for _, reference := range references {
		digest := sha256.Sum256([]byte(path.Base(reference)))
		pane.Runs = append(pane.Runs, &protocol.Run{
			File:   &protocol.DataFile{Path: reference, Size: 100},
			Length: 100, Digest: digest[:], UpTo: number,
		})
	}
	identity := m.Identity()
	return &meta.Checkpoint{
		Header: &protocol.CheckpointHeader{
			JobId: identity.JobID, JobName: m.JobName(), Lineage: identity.Lineage,
			CheckpointId: number, Generation: m.gen.Number, Kind: meta.KindCheckpoint,
			TriggerMillis: int64(number),
		},
		Operators: []*protocol.OperatorState{{
			Uid: "op", Id: id[:], Name: "Op", Parallelism: 1, MaxParallelism: 32768,
			Subtasks: []*protocol.OperatorSubtaskState{{
				Keyed: &protocol.KeyedState{Panes: []*protocol.PaneRuns{pane}}}},
		}},
	}
}

// upload writes a file whose content is its own name.
func (m *master) upload(t testing.TB, checkpoint uint64) string {
	t.Helper()
	reference, size, err := m.Uploader().Upload(t.Context(), checkpoint, 1, 0, writeText("state"))
	if err != nil || size != 5 {
		t.Fatalf("upload: %d bytes, %v", size, err)
	}
	return reference
}

func writeText(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// publish completes the next checkpoint with the files given and one of its own, and returns its
// number.
func (m *master) publish(t testing.TB, references ...string) uint64 {
	t.Helper()
	own := m.upload(t, m.next)
	c := m.checkpoint(append(references, own)...)
	if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
		t.Fatalf("publish: %v, %v", outcome, err)
	}
	return c.Header.CheckpointId
}

func (m *master) sweep(t testing.TB) SweepReport {
	t.Helper()
	report, err := m.Sweep(t.Context(), m.gen, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// tree lists all objects, published and in progress, with the job id replaced by JOB.
func tree(t testing.TB, files filesystem.FileSystem, jobID string) []string {
	t.Helper()
	var all []string
	for entry, err := range files.List(t.Context(), "/", true) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Path)
	}
	for entry, err := range files.ListInProgress(t.Context(), "/") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, "in progress: "+entry.Path)
	}
	for i := range all {
		if jobID != "" {
			all[i] = strings.Replace(all[i], jobID, "JOB", 1)
		}
	}
	slices.Sort(all)
	return all
}

// mustFindAll fails unless every file that the found checkpoint refers to can be opened.
func mustFindAll(t testing.TB, found *Found) {
	t.Helper()
	for reference := range found.Meta.Files {
		file, err := found.OpenFile(t.Context(), reference)
		if err != nil {
			t.Fatalf("checkpoint %d: %v", found.Meta.Header.CheckpointId, err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// replace puts other bytes in the place of an object.
func replace(t testing.TB, files filesystem.FileSystem, p string, content []byte) {
	t.Helper()
	if err := files.Remove(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := files.CreateIfAbsent(t.Context(), p, content); err != nil {
		t.Fatal(err)
	}
}

func read1(t testing.TB, files filesystem.FileSystem, p string) []byte {
	t.Helper()
	content, err := filesystem.ReadFile(t.Context(), files, p)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// records returns every checkpoint record of the job name by number.
func records(t testing.TB, files filesystem.FileSystem) map[uint64]*Record {
	t.Helper()
	s := open(t, files, 999_999)
	listed, err := s.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64]*Record{}
	for _, number := range listed.checkpoints {
		r, err := s.record(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		all[number] = r
	}
	return all
}

func kinds(all map[uint64]*Record) string {
	var numbers []uint64
	for number := range all {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	var text []string
	for _, number := range numbers {
		text = append(text, fmt.Sprintf("%d:%s/%d", number, all[number].Kind,
			all[number].Generation))
	}
	return strings.Join(text, " ")
}
