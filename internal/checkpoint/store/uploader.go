package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/leat-io/leat/filesystem"
)

// publishAttempts bounds how often the publishing of a file is repeated; it is idempotent.
const publishAttempts = 4

// Uploader writes the files of one job with state in them. Safe for concurrent use.
type Uploader struct {
	fs  filesystem.FileSystem
	dir filesystem.Path // that the files go to
	// prefix leads from the directory of the metadata to dir.
	prefix     string
	generation uint64
	random     io.Reader
}

// NewUploader returns the uploader of a job below root, a path in files, for one generation.
func NewUploader(
	files filesystem.FileSystem, root filesystem.Path, jobID string, generation uint64,
) *Uploader {
	return &Uploader{fs: files, dir: path.Join(root, jobID, sharedName),
		prefix: "../" + sharedName + "/", generation: generation, random: rand.Reader}
}

// ForSavepoint returns an uploader that writes into the directory of a savepoint, a path in files,
// where its metadata will lie too.
func (u *Uploader) ForSavepoint(
	files filesystem.FileSystem, directory filesystem.Path,
) *Uploader {
	return &Uploader{fs: files, dir: directory, generation: u.generation, random: u.random}
}

// Upload writes one file and makes it durable and visible, under the job's `shared` directory
// unless it is for a savepoint. It returns the reference to the file for the metadata, and its size
// in bytes. write is called once, and nothing it wrote is visible if it fails. checkpointID is the
// checkpoint for which the file is made, or the next one to be taken; a file whose checkpoint is
// completed without referring to it is swept.
func (u *Uploader) Upload(
	ctx context.Context, checkpointID uint64, vertex, subtask uint32,
	write func(w io.Writer) error,
) (reference string, size int64, err error) {
	name := DataFileName{Generation: u.generation, Checkpoint: checkpointID, Vertex: vertex,
		Subtask: subtask}
	var random [4]byte
	if _, err := io.ReadFull(u.random, random[:]); err != nil {
		return "", 0, fmt.Errorf("store: upload: draw a random number: %w", err)
	}
	name.Random = binary.BigEndian.Uint32(random[:])
	target := path.Join(u.dir, name.String())
	if size, err = u.upload(ctx, target, write); err != nil {
		return "", 0, fmt.Errorf("store: upload %q: %w", uriOf(u.fs, target), err)
	}
	return u.prefix + name.String(), size, nil
}

// Open opens a file by the reference that Upload returned, now or in an earlier generation of the
// job. The caller closes it. Errors: filesystem.ErrNotExist, also for any other reference.
func (u *Uploader) Open(ctx context.Context, reference string) (filesystem.ReadAtCloser, error) {
	base, ok := strings.CutPrefix(reference, u.prefix)
	if _, named := ParseDataFileName(base); !ok || !named {
		return nil, fmt.Errorf("store: open %q: %w: it is no file of this job",
			reference, filesystem.ErrNotExist)
	}
	file, err := u.fs.Open(ctx, path.Join(u.dir, base))
	if err != nil {
		return nil, fmt.Errorf("store: open %q: %w", uriOf(u.fs, path.Join(u.dir, base)), err)
	}
	return file, nil
}

func (u *Uploader) upload(
	ctx context.Context, target filesystem.Path, write func(w io.Writer) error,
) (int64, error) {
	w, err := u.fs.Create(ctx, target)
	if err != nil {
		return 0, err
	}
	counted := &counter{w: w}
	if err = write(counted); err != nil {
		return 0, errors.Join(err, w.Abort())
	}
	token, err := w.Prepare(ctx)
	if err != nil {
		return 0, errors.Join(err, w.Abort())
	}
	for range publishAttempts {
		err = u.fs.Publish(ctx, token)
		if err == nil || errors.Is(err, filesystem.ErrExists) ||
			errors.Is(err, filesystem.ErrTokenUnknown) {
			break
		}
	}
	if err != nil {
		// It never removes a published object, so it is right after a lost answer too.
		return 0, errors.Join(err, u.fs.Discard(context.WithoutCancel(ctx), token))
	}
	return counted.size, nil
}

// counter counts the bytes written.
type counter struct {
	w    io.Writer
	size int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.size += int64(n)
	return n, err
}
