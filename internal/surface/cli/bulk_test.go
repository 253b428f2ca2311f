package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/clock"
)

// filesOf returns the files below a directory, those of a job's control records left out.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.Contains(path, "_jobs") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Goal: damage of any file of a checkpoint is found and the file named, and no other is blamed.
// Method: for every file flip a byte at several places, cut it short, remove it; verify, fsck.
func TestDamage(t *testing.T) {
	root, checkpoint := makeBulk(t, "hashmap")
	verify := func() (int, string) {
		code, stdout, stderr := leat(t, 0, "checkpoint", "verify", checkpoint)
		return code, stdout + stderr
	}
	if code, text := verify(); code != 0 || !strings.Contains(text, "40,000 rows") {
		t.Fatalf("whole: exit %d: %s", code, text)
	}
	files := filesOf(t, root)
	if len(files) < 4 {
		t.Fatalf("only %q", files)
	}
	for _, path := range files {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, content []byte) {
			t.Helper()
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			code, text := verify()
			if code != ExitFailed || strings.Count(text, "BAD ") != 1 ||
				!strings.Contains(text, filepath.Base(path)) {
				t.Errorf("%s of %s: exit %d, %s", what, path, code, text)
			}
		}
		for _, at := range []int{0, len(whole) / 3, len(whole) / 2, len(whole) - 1} {
			content := bytes.Clone(whole)
			content[at] ^= 0x20
			check(fmt.Sprintf("byte %d", at), content)
		}
		check("half", whole[:len(whole)/2])
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		code, text := verify()
		switch filepath.Base(path) {
		case "contents.json":
			if code != 0 { // for people only
				t.Errorf("without %s: exit %d, %s", path, code, text)
			}
		case "_metadata":
			if code != ExitNotFound || !strings.Contains(text, "_metadata") {
				t.Errorf("without %s: exit %d, %s", path, code, text)
			}
		default:
			if code != ExitFailed || !strings.Contains(text, filepath.Base(path)) {
				t.Errorf("without %s: exit %d, %s", path, code, text)
			}
		}
		code, stdout, _ := leat(t, 0, "checkpoint", "fsck", root)
		if defect := filepath.Base(path) != "contents.json"; defect != (code == ExitFailed) ||
			defect != strings.Contains(stdout, "missing") {
			t.Errorf("fsck without %s: exit %d, %s", path, code, stdout)
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code, text := verify(); code != 0 {
		t.Errorf("repaired: exit %d: %s", code, text)
	}
}

// Goal: what does not belong is told, and what a copy needs comes along. Method: an orphan, a
// half-written savepoint, a foreign file, a record whose checkpoint is gone; a copy of a
// checkpoint that outlives its original, and one of a damaged original.
func TestGarbageAndCopy(t *testing.T) {
	root, checkpoint := makeBulk(t, "naive")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	job := filepath.Dir(checkpoint)
	shared := filesOf(t, filepath.Join(job, "shared"))
	write(filepath.Join(job, "shared", "1-9-0-0-00000000.run"), "orphan")
	write(filepath.Join(job, "shared", ".x.run.abc.inprogress"), "")
	write(filepath.Join(job, "notes.txt"), "foreign")
	write(filepath.Join(root, "savepoint-000000-000000000000", "x.run"), "half")
	code, text, _ := leat(t, 0, "checkpoint", "fsck", root)
	for _, want := range []string{"orphan:", "half-written savepoint", "not written by Leat",
		"killed", "0 defects, 3 pieces of garbage"} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("exit %d, no %q in %s", code, want, text)
		}
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if code, text, stderr := leat(t, 0, "savepoint", "copy", checkpoint, copied); code != 0 {
		t.Fatalf("copy: exit %d %s%s", code, text, stderr)
	}
	// An interrupted copy is completed; what is in the way is not overwritten.
	if err := os.Remove(filepath.Join(copied, "_metadata")); err != nil {
		t.Fatal(err)
	}
	code, text, stderr := leat(t, 0, "savepoint", "copy", checkpoint, copied)
	if code != 0 || !strings.Contains(text, "there already") {
		t.Errorf("copy again: exit %d %s%s", code, text, stderr)
	}
	taken := filepath.Join(t.TempDir(), "taken")
	write(filepath.Join(taken, filepath.Base(shared[0])), "mine")
	code, _, text = leat(t, 0, "savepoint", "copy", checkpoint, taken)
	if code != ExitFailed || !strings.Contains(text, "is there and is another file") {
		t.Errorf("copy over something: exit %d %s", code, text)
	}
	whole, err := os.ReadFile(shared[len(shared)-1])
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/2] ^= 1
	write(shared[len(shared)-1], string(whole))
	second := filepath.Join(t.TempDir(), "second")
	code, _, text = leat(t, 0, "savepoint", "copy", checkpoint, second)
	if code != ExitFailed || !strings.Contains(text, "digest differs") ||
		!strings.Contains(text, filepath.Base(shared[len(shared)-1])) {
		t.Errorf("copy of a damaged checkpoint: exit %d %s", code, text)
	}
	if _, err := os.Stat(filepath.Join(second, "_metadata")); err == nil {
		t.Error("the copy of a damaged checkpoint is a savepoint")
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if code, text, stderr := leat(t, 0, "checkpoint", "verify", copied); code != 0 ||
		!strings.Contains(text, "40,000 rows") {
		t.Errorf("verify the copy: exit %d %s%s", code, text, stderr)
	}
	result := runBulk(t, filepath.Join(t.TempDir(), "ck"), "hashmap", copied)
	if result.Restored == 0 || result.Status != "FINISHED" {
		t.Errorf("started from the copy: %+v", result)
	}
}

// countingFiles counts the bytes read.
type countingFiles struct {
	filesystem.FileSystem
	bytes int64
}

func (c *countingFiles) Open(ctx context.Context, path string) (filesystem.ReadAtCloser, error) {
	object, err := c.FileSystem.Open(ctx, path)
	return countingObject{object, c}, err
}

type countingObject struct {
	filesystem.ReadAtCloser
	files *countingFiles
}

func (o countingObject) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.ReadAtCloser.ReadAt(p, off)
	o.files.bytes += int64(n)
	return n, err
}

// Goal: one key of a large state costs a few reads. Method: count the bytes read for one key and
// for all.
func TestKeyReadsLittle(t *testing.T) {
	_, checkpoint := makeBulk(t, "hashmap")
	read := func(args ...string) (int64, string) {
		t.Helper()
		var out, note bytes.Buffer
		files := &countingFiles{FileSystem: local.New(local.Options{})}
		p := Program{Stdout: &out, Stderr: &note, Files: filesystem.NewRegistry(files),
			Clock: clock.Real()}
		code := p.Run(t.Context(), append([]string{"state", "get", checkpoint}, args...))
		if code != 0 {
			t.Fatalf("%q: exit %d, %s", args, code, note.String())
		}
		return files.bytes, out.String()
	}
	all, text := read()
	if n := strings.Count(text, "\n"); n != bulkKeys+1 {
		t.Errorf("%d lines", n)
	}
	one, text := read("--key", "37777")
	if text != "KEY    COUNT\n37777      1\n" {
		t.Errorf("got %q", text)
	}
	if one > all/4 {
		t.Errorf("read %d bytes for one key, %d for all", one, all)
	}
	first, _ := read("--limit", "10")
	if first > all/4 {
		t.Errorf("read %d bytes for ten entries, %d for all", first, all)
	}
}
