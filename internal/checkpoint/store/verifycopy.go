package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
)

// Copied says what CopySavepoint did.
type Copied struct {
	URI      string // of the new savepoint's directory
	Files    int    // written, the metadata included
	Existing int    // found complete from an interrupted copy
	Bytes    int64  // written
}

// ErrTaken: something is at the place of a copy already, and it is not the same.
var ErrTaken = errors.New("the place is taken")

// CopySavepoint makes a self-contained savepoint in the directory to out of the checkpoint or
// savepoint at from, between any two stores: every file it refers to comes along, is verified on
// the way, and references are rewritten. The metadata is written last, so that an interrupted copy
// is no savepoint; the same call again completes it. progress, which may be nil, is told of every
// file.
//
// Nothing is overwritten: ErrTaken names what is in the way. A file that is missing or not what the
// metadata says is an error that names it.
func CopySavepoint(
	ctx context.Context, registry *filesystem.Registry, from, to string,
	progress func(file string, bytes int64),
) (Copied, error) {
	copied, err := copySavepoint(ctx, registry, from, to, progress)
	if err != nil {
		return copied, fmt.Errorf("store: copy %q to %q: %w", from, to, err)
	}
	return copied, nil
}

func copySavepoint(
	ctx context.Context, registry *filesystem.Registry, from, to string,
	progress func(file string, bytes int64),
) (Copied, error) {
	found, _, err := read(ctx, registry, from)
	if err != nil {
		return Copied{}, err
	}
	files, dir, err := registry.Resolve(to)
	if err != nil {
		return Copied{}, err
	}
	if progress == nil {
		progress = func(string, int64) {}
	}
	c := copier{ctx: ctx, from: found, files: files, dir: dir, progress: progress,
		names: map[string]string{}, taken: map[string]bool{metadataName: true, contentsName: true}}
	c.copied.URI = uriOf(files, dir)
	if _, err := files.Stat(ctx, path.Join(dir, metadataName)); err == nil {
		return Copied{}, fmt.Errorf("%w: %q has a _metadata already; choose another directory",
			ErrTaken, c.copied.URI)
	} else if !errors.Is(err, filesystem.ErrNotExist) {
		return Copied{}, err
	}
	rewritten, err := c.copyFiles()
	if err != nil {
		return c.copied, err
	}
	return c.copied, c.finish(rewritten)
}

// copier copies one checkpoint.
type copier struct {
	ctx      context.Context
	from     *Found
	files    filesystem.FileSystem
	dir      filesystem.Path
	names    map[string]string // reference in the original -> name in the copy
	taken    map[string]bool   // names in the copy
	copied   Copied
	progress func(string, int64)
}

// copyFiles copies what the metadata refers to and returns a copy of it with the new references.
func (c *copier) copyFiles() (*meta.Checkpoint, error) {
	rewritten := &meta.Checkpoint{
		Header:  proto.CloneOf(c.from.Meta.Header),
		Unknown: c.from.Meta.Unknown,
	}
	rewritten.Header.Kind = meta.KindSavepoint
	rewritten.Header.Origin = c.copied.URI
	// It is the user's: no schedule deletes it, and what its original claimed is none of it.
	rewritten.Header.Periodic, rewritten.Header.Claimed = false, ""
	runs := map[string][]*protocol.Run{} // by reference, all of them
	var order []string
	for _, operator := range c.from.Meta.Operators {
		operator = proto.CloneOf(operator)
		rewritten.Operators = append(rewritten.Operators, operator)
		for _, subtask := range operator.GetSubtasks() {
			for _, pane := range subtask.GetKeyed().GetPanes() {
				for _, r := range pane.GetRuns() {
					reference := r.GetFile().GetPath()
					if r.GetFile() == nil {
						continue
					}
					if len(runs[reference]) == 0 {
						order = append(order, reference)
					}
					runs[reference] = append(runs[reference], proto.CloneOf(r))
					r.File.Path = c.nameOf(reference)
				}
			}
		}
	}
	for _, reference := range order {
		if err := c.copyFile(reference, runs[reference]); err != nil {
			return nil, fmt.Errorf("file %q: %w", reference, err)
		}
	}
	return rewritten, nil
}

// nameOf returns what the copy of a file is called.
func (c *copier) nameOf(reference string) string {
	if name, ok := c.names[reference]; ok {
		return name
	}
	base := path.Base(reference)
	name := base
	for i := 2; c.taken[name]; i++ {
		name = strconv.Itoa(i) + "-" + base
	}
	c.names[reference], c.taken[name] = name, true
	return name
}

// copyFile copies one file, verifying its runs before the copy becomes visible.
func (c *copier) copyFile(reference string, runs []*protocol.Run) (err error) {
	object, err := c.from.OpenFile(c.ctx, reference)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "store: "))
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if have, want := object.Size(), runs[0].GetFile().GetSize(); have != want {
		return fmt.Errorf("it has %d bytes, recorded are %d", have, want)
	}
	if err := verifyDigests(object, runs); err != nil {
		return err
	}
	target := path.Join(c.dir, c.names[reference])
	done, err := c.isThere(target, runs)
	if err != nil {
		return err
	}
	if done {
		c.copied.Existing++
		c.progress(c.names[reference], 0)
		return nil
	}
	if err := c.write(target, io.NewSectionReader(object, 0, object.Size())); err != nil {
		return err
	}
	// Read back: a copy is believed when it was seen, not when it was written.
	if err := c.confirm(target, runs); err != nil {
		return err
	}
	c.copied.Files++
	c.copied.Bytes += object.Size()
	c.progress(c.names[reference], object.Size())
	return nil
}

// isThere tells whether an earlier copy has left the file, whole.
func (c *copier) isThere(target filesystem.Path, runs []*protocol.Run) (bool, error) {
	_, err := c.files.Stat(c.ctx, target)
	if errors.Is(err, filesystem.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := c.confirm(target, runs); err != nil {
		return false, fmt.Errorf("%w: %q is there and is another file: %w; choose another "+
			"directory or remove it", ErrTaken, uriOf(c.files, target), err)
	}
	return true, nil
}

// confirm reads a file of the copy back.
func (c *copier) confirm(target filesystem.Path, runs []*protocol.Run) (err error) {
	object, err := c.files.Open(c.ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if have, want := object.Size(), runs[0].GetFile().GetSize(); have != want {
		return fmt.Errorf("it has %d bytes, recorded are %d", have, want)
	}
	return verifyDigests(object, runs)
}

func verifyDigests(object filesystem.ReadAtCloser, runs []*protocol.Run) error {
	for _, r := range runs {
		digest := sha256.New()
		part := io.NewSectionReader(object, r.GetOffset(), r.GetLength())
		if _, err := io.Copy(digest, part); err != nil {
			return fmt.Errorf("read run at offset %d: %w", r.GetOffset(), err)
		}
		if !bytes.Equal(digest.Sum(nil), r.GetDigest()) {
			return fmt.Errorf("run at offset %d: %w: sha-256 is %x, want %x",
				r.GetOffset(), run.ErrDigest, digest.Sum(nil), r.GetDigest())
		}
	}
	return nil
}

// write creates one object from a reader.
func (c *copier) write(target filesystem.Path, from io.Reader) error {
	w, err := c.files.Create(c.ctx, target)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		return errors.Join(err, w.Abort())
	}
	token, err := w.Prepare(c.ctx)
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := c.files.Publish(c.ctx, token); err != nil {
		return errors.Join(err, c.files.Discard(context.WithoutCancel(c.ctx), token))
	}
	return nil
}

// finish writes the metadata and its twin.
func (c *copier) finish(rewritten *meta.Checkpoint) error {
	metadata, err := meta.Encode(rewritten)
	if err != nil {
		return err
	}
	contents, err := meta.ContentsJSON(rewritten)
	if err != nil {
		return err
	}
	twin := path.Join(c.dir, contentsName)
	if _, err := c.files.Stat(c.ctx, twin); errors.Is(err, filesystem.ErrNotExist) {
		if err := filesystem.WriteFile(c.ctx, c.files, twin, contents); err != nil {
			return err
		}
	}
	p := path.Join(c.dir, metadataName)
	if err := c.files.CreateIfAbsent(c.ctx, p, metadata); err != nil {
		if errors.Is(err, filesystem.ErrExists) {
			return fmt.Errorf("%w: %q came meanwhile", ErrTaken, uriOf(c.files, p))
		}
		return err
	}
	c.copied.Files++
	c.copied.Bytes += int64(len(metadata))
	c.progress(metadataName, int64(len(metadata)))
	return nil
}
