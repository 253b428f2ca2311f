package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Rows of 116 bytes: 4 of hash, a key of 8, and 13 words of which 6 do not compress.
const (
	listWords    = 13
	listRowBytes = 4 + 8 + 8*listWords
)

// keyedTask is the keyed state of one subtask with its run lists, without the job around it.
type keyedTask struct {
	bounds types.HashRange
	state  backend.Backend
	id     backend.TableID
	lists  *run.Lists
	rounds uint64 // of updates, told apart by their values
}

func newKeyedTask(subtask, parallelism int) (*keyedTask, error) {
	k := &keyedTask{bounds: types.SubtaskRange(subtask, parallelism)}
	k.lists = run.NewLists(k.bounds)
	var err error
	if k.state, err = (table.Factory{}).New(backend.Options{Bounds: k.bounds}); err != nil {
		return nil, err
	}
	k.id, err = k.state.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8 * listWords})
	return k, err
}

// update writes the rows of the keys that are this task's, and returns how many these are.
func (k *keyedTask) update(count int, key func(i int) uint64) (int, error) {
	t, err := k.state.Table(k.id, backend.NoPane)
	if err != nil {
		return 0, err
	}
	const batch = 1024
	found := make([]backend.Row, batch)
	keys := backend.Keys{}
	changed := 0
	k.rounds++
	flush := func() error {
		_, err := t.Resolve(keys, backend.Insert, found[:len(keys.Words)], nil)
		for i := range keys.Words {
			words := (*[listWords]uint64)(unsafe.Pointer(t.Fixed(found[i])))
			for w := range words {
				words[w] = k.rounds
				if w < 6 {
					words[w] = types.Mix64(keys.Words[i]<<24 + k.rounds<<4 + uint64(w))
				}
			}
		}
		changed += len(keys.Words)
		keys.Words, keys.Hashes = keys.Words[:0], keys.Hashes[:0]
		return err
	}
	for i := range count {
		word := key(i)
		h := types.HashInt64(int64(word))
		if top := uint32(h >> 32); top < k.bounds.Lo || top > k.bounds.Hi {
			continue
		}
		keys.Words, keys.Hashes = append(keys.Words, word), append(keys.Hashes, h)
		if len(keys.Words) == batch {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	return changed, flush()
}

// image is a finished snapshot; pause is the longest time in which no record could be handled, and
// step the longest CPU time of that sort.
func (k *keyedTask) image(checkpoint uint64, full bool) (
	image backend.Snapshot, pause, step time.Duration, err error,
) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	measure := func(f func()) {
		from, fromCPU := time.Now(), threadTime()
		f()
		pause, step = max(pause, time.Since(from)), max(step, threadTime()-fromCPU)
	}
	measure(func() { image, err = k.state.Begin(checkpoint, full) })
	for done := false; err == nil && !done; {
		measure(func() { done, err = image.Step(256 << 10) })
	}
	return image, pause, step, err
}

// checkpointed is what one checkpoint of one task cost.
type checkpointed struct {
	state       *protocol.KeyedState
	stats       run.WriteStats
	merged      run.MergeStats
	merges      int // objects written by them
	pause, step time.Duration
	cpu         time.Duration // of writing
	merge       time.Duration // CPU of merging
}

// checkpoint takes and confirms a checkpoint, then merges as far as the budget goes.
func (k *keyedTask) checkpoint(
	ctx context.Context, id uint64, f *stateFiles,
) (c checkpointed, err error) {
	image, pause, step, err := k.image(id, k.lists.WantFull(k.state.MemoryBytes()))
	if err != nil {
		return c, err
	}
	c.pause, c.step = pause, step
	from := cpuTime()
	c.state, c.stats, err = k.lists.Write(ctx, image.Parts(), image.Panes(), id, f.uploader(id))
	image.Release()
	if err != nil {
		return c, err
	}
	if k.lists.Confirm(id) {
		k.state.Confirm(id)
	}
	c.cpu = cpuTime() - from
	from = cpuTime()
	for plan := k.lists.NextMerge(); plan != nil; plan = k.lists.NextMerge() {
		stats, err := plan.Run(ctx, run.MergeEnv{
			Open: f.open, Uploader: f.uploader(plan.JoinBy()), Pause: ctx.Err,
		})
		if err != nil {
			return c, err
		}
		c.merges++
		c.merged.Rows += stats.Rows
		c.merged.WrittenBytes += stats.WrittenBytes
	}
	c.merge = cpuTime() - from
	return c, nil
}

// digest is the SHA-256 of all rows in the order of their hashes: it does not depend on how they
// are spread over tasks and files.
//
// It takes a snapshot by the number of a checkpoint that is never confirmed.
func (k *keyedTask) digest(into hash.Hash, checkpoint uint64) error {
	image, _, _, err := k.image(checkpoint, true)
	if err != nil {
		return err
	}
	defer image.Release()
	for _, part := range image.Parts() {
		entries := part.Entries()
		for e, ok := entries.Next(); ok; e, ok = entries.Next() {
			var head [12]byte
			binary.BigEndian.PutUint32(head[:], e.Hash)
			binary.BigEndian.PutUint64(head[4:], uint64(len(e.Value)))
			into.Write(head[:])
			into.Write(e.Key)
			into.Write(e.Value)
		}
		if err := entries.Err(); err != nil {
			return err
		}
	}
	return nil
}

// stateFiles is where the runs of a bench lie: local files, without sync.
type stateFiles struct {
	dir string
	fs  filesystem.FileSystem
	up  *store.Uploader
}

func newStateFiles() (*stateFiles, error) {
	dir, err := os.MkdirTemp("", "leat-bench-")
	if err != nil {
		return nil, err
	}
	fs := local.New(local.Options{})
	return &stateFiles{dir: dir, fs: fs, up: store.NewUploader(fs, dir, "job", 1)}, nil
}

func (f *stateFiles) close() { os.RemoveAll(f.dir) }

func (f *stateFiles) open(ctx context.Context, name string) (filesystem.ReadAtCloser, error) {
	return f.up.Open(ctx, name)
}

type uploadFor struct {
	f          *stateFiles
	checkpoint uint64
}

func (f *stateFiles) uploader(checkpoint uint64) run.Uploader { return uploadFor{f, checkpoint} }

// Upload stores one object.
func (u uploadFor) Upload(
	ctx context.Context, _ string, write func(io.Writer) error,
) (string, int64, error) {
	return u.f.up.Upload(ctx, u.checkpoint, 0, 0, write)
}

// keep removes what none of the states refers to, but for the last merges, and returns the number
// and the size of the files referred to.
func (f *stateFiles) keep(newest uint64, states ...*protocol.KeyedState) (
	files int, size int64, err error,
) {
	kept := map[string]bool{}
	for _, s := range states {
		for _, p := range s.Panes {
			for _, r := range p.Runs {
				if r.File != nil && !kept[path.Base(r.File.Path)] {
					kept[path.Base(r.File.Path)] = true
					size += r.File.Size
				}
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, "job", "shared"))
	for _, e := range entries {
		name, ok := store.ParseDataFileName(e.Name())
		if ok && !kept[e.Name()] && name.Checkpoint <= newest {
			err = os.Remove(filepath.Join(f.dir, "job", "shared", e.Name()))
		}
	}
	return len(kept), size, err
}

// copyFiles copies what a state refers to, and returns how long that took.
func (f *stateFiles) copyFiles(states []*protocol.KeyedState) (time.Duration, error) {
	to, err := os.MkdirTemp("", "leat-bench-copy-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(to)
	from := time.Now()
	done := map[string]bool{}
	for _, s := range states {
		for _, p := range s.Panes {
			for _, r := range p.Runs {
				name := path.Base(r.File.GetPath())
				if r.File == nil || done[name] {
					continue
				}
				done[name] = true
				in := filepath.Join(f.dir, "job", "shared", name)
				if err := copyFile(in, filepath.Join(to, name)); err != nil {
					return 0, err
				}
			}
		}
	}
	return time.Since(from), nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	// Through memory, as a restore has to: not by a call that shares blocks.
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
	if errClose := out.Close(); err == nil {
		err = errClose
	}
	return err
}

func digestOf(tasks []*keyedTask, checkpoint uint64) (string, error) {
	sum := sha256.New()
	for _, k := range tasks {
		if err := k.digest(sum, checkpoint); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}
