package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/filesystem/mem"
)

// Goal: a checkpoint is found under every spelling of its place, and at the one named, not at the
// newest. Method: all spellings on the store in memory and on disk, relative paths there too.
func TestLoadSpellings(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		older, newer := m.publish(t), m.publish(t)
		if err := m.MarkCommitted(t.Context(), newer); err != nil {
			t.Fatal(err)
		}
		dir := m.CheckpointDir(older)
		spellings := []string{dir, dir + "/", dir + "/_metadata", dir + "//", dir + "/./_metadata"}
		if files.Scheme() == "file" {
			p := strings.TrimPrefix(dir, "file://")
			spellings = append(spellings, p, p+"/", p+"/_metadata", "file:"+p,
				p[1:], "./"+p[1:]+"/")
		}
		for _, spelling := range spellings {
			f, err := m.Load(t.Context(), spelling)
			if err != nil {
				t.Errorf("%q: %v", spelling, err)
				continue
			}
			if f.Meta.Header.CheckpointId != older || f.Record == nil || f.Newest ||
				!f.NeedsCommit || f.URI() != dir+"/_metadata" || f.Meta.Header.Origin != dir {
				t.Errorf("%q: %+v", spelling, f)
			}
			mustFindAll(t, f)
		}
		f, err := m.Load(t.Context(), m.CheckpointDir(newer))
		if err != nil || !f.Newest || f.NeedsCommit {
			t.Errorf("newest: %+v, %v", f, err)
		}
		if f, err = Read(t.Context(), filesystem.NewRegistry(files), dir); err != nil ||
			f.Record != nil || !f.NeedsCommit {
			t.Errorf("read without a name: %+v, %v", f, err)
		}
	})
}

// Goal: a wrong place is answered with what was looked for and what may have been meant. Method:
// table of wrong places.
func TestLoadMissing(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		m.publish(t)
		newest := m.publish(t)
		stray := path.Join(m.jobDir(m.Identity().JobID), "chk-77", "x")
		if err := files.CreateIfAbsent(t.Context(), stray, []byte("no metadata")); err != nil {
			t.Fatal(err)
		}
		job := path.Dir(m.CheckpointDir(newest))
		if files.Scheme() != "file" {
			job = strings.Replace(job, ":/", "://", 1) // path.Dir has cleaned it.
		} else {
			job = "file://" + strings.TrimPrefix(job, "file:")
		}
		below := `; the newest checkpoint below is "` + m.CheckpointDir(newest) + `"`
		lookedFor := `no _metadata there: looked for "` + job
		cases := map[string]string{
			job:                             below,
			job + "/chk-9":                  lookedFor + `/chk-9/_metadata"`,
			job + "/chk-77":                 `looked for "` + job + `/chk-77/_metadata"`,
			job + "/chk-77/x":               `x" is a file`,
			job + "/chk-1/contents.json":    `contents.json" is a file`,
			m.Root() + "/nowhere/_metadata": `/nowhere/_metadata"`,
		}
		for place, says := range cases {
			_, err := m.Load(t.Context(), place)
			if !errors.Is(err, ErrNoMetadata) || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: got %v, want %s", place, err, says)
			}
		}
		for _, place := range []string{"", "hdfs://h/x"} {
			if _, err := m.Load(t.Context(), place); err == nil || errors.Is(err, ErrNoMetadata) {
				t.Errorf("%q: %v", place, err)
			}
		}
	})
}

// Goal: what is damaged is named, and an older checkpoint is never taken in its place. Method: the
// newest checkpoint is damaged in one way after the other.
func TestDamageIsNamed(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		older, newest := m.publish(t), m.publish(t)
		jobID := m.Identity().JobID
		metadata := path.Join(m.chkDir(jobID, newest), metadataName)
		record := m.recordPath(checkpointPrefix, newest, "")
		whole, wholeRecord := read1(t, files, metadata), read1(t, files, record)
		other := read1(t, files, path.Join(m.chkDir(jobID, older), metadataName))
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 4
		latest := func(what string, is error, names string) {
			t.Helper()
			f, err := open(t, files, 9).Latest(t.Context())
			if f != nil || !errors.Is(err, is) || !strings.Contains(err.Error(), names) ||
				errors.Is(err, ErrNoCheckpoint) {
				t.Errorf("%s: %v, %v", what, f, err)
			}
		}
		for what, content := range map[string][]byte{"flipped": flipped, "empty": {},
			"cut": whole[:len(whole)-7], "that of an older checkpoint": other} {
			replace(t, files, metadata, content)
			latest(what, ErrDamaged, uriOf(files, metadata))
		}
		if err := files.Remove(t.Context(), metadata); err != nil {
			t.Fatal(err)
		}
		latest("missing", ErrNoMetadata, uriOf(files, metadata))
		if err := files.CreateIfAbsent(t.Context(), metadata, whole); err != nil {
			t.Fatal(err)
		}
		flipped = bytes.Clone(wholeRecord)
		flipped[len(flipped)/2] ^= 4
		foreign := *records(t, files)[newest]
		foreign.Name = "another"
		named, err := foreign.encode()
		if err != nil {
			t.Fatal(err)
		}
		for what, content := range map[string][]byte{"flipped record": flipped, "no record": {},
			"record of another name": named, "record of another number": read1(t, files,
				m.recordPath(checkpointPrefix, older, ""))} {
			replace(t, files, record, content)
			latest(what, ErrDamaged, uriOf(files, record))
			if _, err := open(t, files, 9).NewGeneration(t.Context()); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: a new master says %v", what, err)
			}
		}
		if err := m.MarkCommitted(t.Context(), newest); err != nil {
			t.Fatal(err)
		}
		replace(t, files, record, read1(t, files, record+committedSuffix))
		latest("a committed mark as record", ErrDamaged, uriOf(files, record))
		replace(t, files, record, wholeRecord)
		if _, err := open(t, files, 9).Latest(t.Context()); err != nil {
			t.Errorf("repaired: %v", err)
		}
	})
}

// Goal: a job starts empty only when the store positively has nothing. Method: an empty store, one
// with fences only, one with another job, and a store that fails.
func TestNoCheckpoint(t *testing.T) {
	files := mem.New(mem.Options{})
	none := func(what string) {
		t.Helper()
		_, err := open(t, files, 9).Latest(t.Context())
		if !errors.Is(err, ErrNoCheckpoint) || !strings.Contains(err.Error(), "_jobs/flights") {
			t.Errorf("%s: %v", what, err)
		}
	}
	none("empty")
	begin(t, files, 1)
	none("a fence only")
	for _, op := range []fault.Op{fault.OpList, fault.OpOpen} {
		for _, after := range []bool{false, true} {
			rule := fault.Rule{Op: op, Before: fault.ErrInjected}
			if after {
				rule = fault.Rule{Op: op, After: fault.ErrInjected}
			}
			s := open(t, fault.New(files, planOf(t, rule)), 9)
			if _, err := s.Latest(t.Context()); err == nil || errors.Is(err, ErrNoCheckpoint) {
				t.Errorf("%s fails, after %v: %v", op, after, err)
			}
		}
	}
	other, err := OpenRandom(t.Context(), filesystem.NewRegistry(files), rootOf(files), "Flights",
		seeded(4))
	if err != nil {
		t.Fatal(err)
	}
	m, err := takeOver(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	m.publish(t)
	none("another job")
}

// Goal: a reader beside a running master is not disturbed by retention. Method: before each store
// call of Latest the master completes a checkpoint and sweeps.
func TestLatestBesideSweep(t *testing.T) {
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		m.publish(t)
		called := false
		reader := open(t, interrupt(t, files, hit, func() {
			called = true
			m.publish(t)
			m.sweep(t)
		}), 9)
		if _, err := reader.Latest(t.Context()); err != nil {
			t.Fatalf("call %d: %v", hit, err)
		}
		if !called {
			break
		}
	}
}

// copyTree copies objects below from to another place, possibly in another store.
func copyTree(t *testing.T, from, to filesystem.FileSystem, source, target string) {
	t.Helper()
	for entry, err := range from.List(t.Context(), source, true) {
		if err != nil {
			t.Fatal(err)
		}
		p := path.Join(target, strings.TrimPrefix(entry.Path, source))
		if err := to.CreateIfAbsent(t.Context(), p, read1(t, from, entry.Path)); err != nil {
			t.Fatal(err)
		}
	}
}

// Goal: a copied root restores by name and by path without the original, and a copied `_metadata`
// alone while its files live. Method: copies from memory to disk and back, original gone or there.
func TestCopies(t *testing.T) {
	source := mem.New(mem.Options{})
	target := local.New(local.Options{Root: t.TempDir()})
	m := begin(t, source, 1)
	number := m.publish(t, m.publishAndRefer(t))
	copyTree(t, source, target, "/bucket/ck", "/elsewhere/deep")
	alone, err := OpenRandom(t.Context(), filesystem.NewRegistry(target), "/elsewhere/deep",
		jobName, seeded(5))
	if err != nil {
		t.Fatal(err)
	}
	byName, err := alone.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustFindAll(t, byName)
	byPath, err := alone.Load(t.Context(), path.Join("/elsewhere/deep", byName.Record.Path))
	if err != nil {
		t.Fatal(err)
	}
	mustFindAll(t, byPath)
	if byName.Newest || byPath.Newest {
		t.Error("in a copied root new checkpoints may refer to files that may have stayed behind")
	}
	if d := cmp.Diff(byName.Meta.Header.CheckpointId, byPath.Meta.Header.CheckpointId); d != "" {
		t.Error(d)
	}

	metadata := path.Join(m.chkDir(m.Identity().JobID, number), metadataName)
	lone := "/bucket/app/last-state/_metadata"
	for _, files := range []filesystem.FileSystem{source, target} {
		if err := files.CreateIfAbsent(t.Context(), lone, read1(t, source, metadata)); err != nil {
			t.Fatal(err)
		}
		both := filesystem.NewRegistry(source, target)
		s, err := OpenRandom(t.Context(), both, rootOf(source), jobName, seeded(6))
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Load(t.Context(), uriOf(files, lone))
		if err != nil {
			t.Fatal(err)
		}
		mustFindAll(t, f)
		if f.Record == nil {
			t.Errorf("the lone copy is not known: %+v", f)
		}
		if f.Newest {
			t.Error("new checkpoints may refer to files that may be in the copy only")
		}
		if identity, err := s.Adopt(f); err != nil || identity != m.Identity() {
			t.Errorf("the lone copy is another job: %+v, %v", identity, err)
		}
	}
	f, err := Read(t.Context(), filesystem.NewRegistry(target), lone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.OpenFile(t.Context(), "../shared/x"); !errors.Is(err, filesystem.ErrNotExist) ||
		!strings.Contains(err.Error(), `unknown scheme "mem"`) {
		t.Errorf("origin in an unknown store: %v", err)
	}
}

// publishAndRefer completes a checkpoint and returns the reference to its file.
func (m *master) publishAndRefer(t *testing.T) string {
	t.Helper()
	reference := m.upload(t, m.next)
	c := m.checkpoint(reference)
	if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
		t.Fatalf("%v, %v", outcome, err)
	}
	return reference
}

// Goal: a missing file is named with both places, other failures are not taken for a missing one.
// Method: a lone copy whose origin has lost the file; a store that fails; a hostile reference.
func TestOpenFile(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	reference := m.publishAndRefer(t)
	metadata := path.Join(m.chkDir(m.Identity().JobID, 1), metadataName)
	lone := read1(t, files, metadata)
	if err := files.CreateIfAbsent(t.Context(), "/a/b/_metadata", lone); err != nil {
		t.Fatal(err)
	}
	f, err := m.Load(t.Context(), "mem://a/b")
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.OpenFile(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
	if err = errors.Join(err, file.Close()); err != nil || string(content) != "state" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := f.OpenFile(t.Context(), "../../etc/passwd"); err == nil {
		t.Error("a reference may lead anywhere")
	}
	f.FS = fault.New(files, planOf(t, fault.Rule{Op: fault.OpOpen, Before: fault.ErrInjected}))
	if _, err := f.OpenFile(t.Context(), reference); !errors.Is(err, fault.ErrInjected) {
		t.Errorf("a failing store: %v", err)
	}
	f.FS = files
	shared := path.Join(path.Dir(metadata), reference)
	if err := files.Remove(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	_, err = f.OpenFile(t.Context(), reference)
	if !errors.Is(err, filesystem.ErrNotExist) || !strings.Contains(err.Error(), shared) ||
		!strings.Contains(err.Error(), "/a/shared/") {
		t.Errorf("missing: %v", err)
	}
}

// Goal: job id and lineage follow the rules of control.md. Method: one start after the other, from
// nothing, by name, by older path, from a copy, under another name.
func TestAdopt(t *testing.T) {
	files := mem.New(mem.Options{})
	first := begin(t, files, 1)
	older := first.publish(t)
	first.publish(t)
	original := first.Identity()
	if original.JobID != original.Lineage || len(original.JobID) != 32 {
		t.Fatalf("fresh: %+v", original)
	}
	adopt := func(m *master, place string) Identity {
		t.Helper()
		f, err := m.Load(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		identity, err := m.Adopt(f)
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	second := begin(t, files, 2)
	if got := adopt(second, first.CheckpointDir(older)); got != original {
		t.Errorf("older checkpoint of its own: %+v", got)
	}
	number := second.publish(t)
	if r := records(t, files)[number]; r.Parent != older {
		t.Errorf("parent is %d, not %d", r.Parent, older)
	}
	record := second.recordPath(checkpointPrefix, older, "")
	if err := files.Remove(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if got := adopt(begin(t, files, 3), first.CheckpointDir(older)); got != original {
		t.Errorf("own checkpoint without record: %+v", got)
	}
	bare := mem.New(mem.Options{})
	copyTree(t, files, bare, first.jobDir(original.JobID),
		first.jobDir(original.JobID))
	bareFirst := begin(t, bare, 7)
	if got := adopt(bareFirst, first.CheckpointDir(older)); got.JobID == original.JobID {
		t.Errorf("generations begin anew and the job id is the old one: %+v", got)
	}
	s, err := OpenRandom(t.Context(), filesystem.NewRegistry(files), rootOf(files), "fork",
		seeded(4))
	if err != nil {
		t.Fatal(err)
	}
	fork, err := takeOver(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	got := adopt(fork, first.CheckpointDir(older))
	if got.JobID == original.JobID || got.Lineage != original.Lineage {
		t.Errorf("another name: %+v", got)
	}
	fork.publish(t)
	fresh := begin(t, files, 5)
	identity, err := fresh.Adopt(nil)
	if err != nil || identity.JobID == original.JobID || identity.Lineage == original.Lineage {
		t.Errorf("fresh start: %+v, %v", identity, err)
	}
	before := len(tree(t, files, ""))
	fresh.publish(t) // a record, two files in chk-N, one shared
	fresh.sweep(t)
	// Fences, skips and generations of old may go; nothing that a restore from the old needs.
	if after := len(tree(t, files, "")); after > before+4 {
		t.Errorf("%d objects became %d", before, after)
	}
	f, err := fresh.Load(t.Context(), second.CheckpointDir(number))
	if err != nil || f.Record == nil {
		t.Errorf("the old lineage is gone: %v", err)
	} else {
		mustFindAll(t, f)
	}
}

// Goal: an upload that fails leaves nothing behind and one whose answers are lost succeeds or
// leaves nothing visible that a later sweep would miss. Method: each store call of an upload fails
// or loses its answer once.
func TestUploaderFaults(t *testing.T) {
	for _, after := range []bool{false, true} {
		for hit := 1; ; hit++ {
			files := mem.New(mem.Options{})
			rule := fault.Rule{Name: "all", Hit: hit, Before: fault.ErrInjected}
			if after {
				rule = fault.Rule{Name: "all", Hit: hit, After: fault.ErrInjected}
			}
			p := planOf(t, rule)
			u := NewUploader(fault.New(files, p), "/r", "job", 3)
			u.random = seeded(1)
			reference, size, err := u.Upload(t.Context(), 4, 5, 6, writeText("state"))
			if p.Hits("all") < hit {
				break
			}
			left := tree(t, files, "")
			if err != nil && len(left) > 0 {
				t.Errorf("call %d, after %v: %v leaves %v", hit, after, err, left)
			}
			if err == nil && (size != 5 || len(left) != 1 ||
				path.Join("/r/job/chk-4", reference) != left[0]) {
				t.Errorf("call %d, after %v: %q, %d bytes, %v", hit, after, reference, size, left)
			}
		}
	}
	files := mem.New(mem.Options{})
	u := NewUploader(files, "/r", "job", 3)
	boom := errors.New("boom")
	_, _, err := u.Upload(t.Context(), 4, 5, 6, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) || len(tree(t, files, "")) > 0 {
		t.Errorf("%v leaves %v", err, tree(t, files, ""))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := u.Upload(ended, 4, 5, 6, writeText("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}
