package file

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/types"
)

// SinkOptions are the settings of a Sink. Dir, Format and Schema are required.
type SinkOptions struct {
	// Dir is the directory to write to, as URI or path. It is made when needed.
	Dir string
	// Format encodes the files.
	Format format.Format
	// Schema is the shape of the rows.
	Schema *types.Schema
	// PartitionBy names columns whose values become directories, as in "day=2001-01-31/", in this
	// order. The files do not contain these columns.
	PartitionBy []string
	// Prefix starts the names of the files; default "part".
	Prefix string
	// IgnoreMissing makes a file that was to be published and is nowhere any more a warning
	// instead of an error. It is for directories from which readers take files away: a restart
	// publishes the files of the last checkpoint again, and cannot tell a file that was taken from
	// one that was lost.
	IgnoreMissing bool
}

func (o SinkOptions) withDefaults() SinkOptions {
	if o.Prefix == "" {
		o.Prefix = "part"
	}
	return o
}

const maxPrefixBytes = 40

func (o SinkOptions) validate() error {
	var faults []error
	add := func(bad bool, text string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(text, args...))
		}
	}
	add(o.Dir == "", "no directory is given")
	add(o.Format == nil, "no format is given")
	add(o.Schema == nil, "no schema is given")
	add(strings.Contains(o.Prefix, "/") || hidden(o.Prefix) || len(o.Prefix) > maxPrefixBytes,
		"prefix %q is not a visible file name of at most %d bytes", o.Prefix, maxPrefixBytes)
	if o.Schema == nil {
		return errors.Join(faults...)
	}
	if err := batch.CheckSchema(o.Schema); err != nil {
		return errors.Join(append(faults, err)...)
	}
	for i, name := range o.PartitionBy {
		add(o.Schema.Index(name) < 0, "partition column %q is not in the schema", name)
		add(slices.Index(o.PartitionBy, name) != i, "partition column %q is named twice", name)
	}
	add(len(o.PartitionBy) >= len(o.Schema.Fields), "no column is left beside those of partitions")
	if o.Format != nil && len(faults) == 0 {
		_, err := o.Format.NewEncoder(o.Schema)
		add(err != nil, "%w", err)
	}
	return errors.Join(faults...)
}

// Sink writes files. It implements connector.Sink.
type Sink struct {
	options    SinkOptions
	partitions []int // columns of the schema
	kept       []int // the others
	encoded    *types.Schema
}

// NewSink returns the sink, or all faults of its options. It touches no file.
func NewSink(options SinkOptions) (*Sink, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fault.User(fmt.Errorf("file: make sink: %w", err))
	}
	s := &Sink{options: options}
	for _, name := range options.PartitionBy {
		s.partitions = append(s.partitions, options.Schema.Index(name))
	}
	for i := range options.Schema.Fields {
		if !slices.Contains(s.partitions, i) {
			s.kept = append(s.kept, i)
		}
	}
	s.encoded = options.Schema.Project(s.kept)
	return s, nil
}

// Schema returns the shape of the rows it takes.
func (s *Sink) Schema() *types.Schema { return s.options.Schema }

var _ connector.Shaped = (*Sink)(nil)

// NewWriter implements connector.Sink.
func (s *Sink) NewWriter(_ context.Context, env *connector.Env) (connector.Writer, error) {
	encoder, err := s.options.Format.NewEncoder(s.encoded)
	if err != nil {
		return nil, fault.User(fmt.Errorf("file: make writer: %w", err))
	}
	store, dir, err := env.Files.Resolve(s.options.Dir)
	if err != nil {
		return nil, fault.User(fmt.Errorf("file: make writer: %w", err))
	}
	return &writer{
		sink: s, store: store, dir: dir, encoder: encoder,
		name:  nameOf(s.options.Prefix, env, encoder.Extension()),
		parts: make(map[string]*part),
	}, nil
}

// NewCommitter implements connector.Sink.
func (s *Sink) NewCommitter(_ context.Context, env *connector.Env) (connector.Committer, error) {
	encoder, err := s.options.Format.NewEncoder(s.encoded)
	if err != nil {
		return nil, fault.User(fmt.Errorf("file: make committer: %w", err))
	}
	store, dir, err := env.Files.Resolve(s.options.Dir)
	if err != nil {
		return nil, fault.User(fmt.Errorf("file: make committer: %w", err))
	}
	return &committer{
		options: &s.options, env: env, store: store, dir: dir,
		own: nameOf(s.options.Prefix, env, encoder.Extension()),
	}, nil
}

// committer implements connector.Committer.
type committer struct {
	options *SinkOptions
	env     *connector.Env
	store   filesystem.FileSystem
	dir     string
	own     name
}

// Commit implements connector.Committer.
func (c *committer) Commit(ctx context.Context, checkpoint uint64,
	committables []connector.Committable,
) error {
	for _, from := range committables {
		p, token, err := decodeCommittable(from)
		if err != nil {
			return err
		}
		err = c.store.Publish(ctx, token)
		if errors.Is(err, filesystem.ErrTokenUnknown) && c.options.IgnoreMissing {
			if c.env.Logger != nil {
				c.env.Logger.Warn("a file of a completed checkpoint is gone", "path", p,
					"checkpoint_id", checkpoint)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("file: publish %q of checkpoint %d: %w", p, checkpoint,
				fault.External(err, retryOf(err)))
		}
	}
	return nil
}

// retryOf tells definite answers of a store, which stay the same, from others.
func retryOf(err error) fault.Retry {
	if errors.Is(err, filesystem.ErrTokenUnknown) || errors.Is(err, filesystem.ErrExists) {
		return fault.RetryNever
	}
	return fault.RetryLater
}

// Abort implements connector.Committer. It tries all of them.
func (c *committer) Abort(ctx context.Context, committables []connector.Committable) error {
	var faults []error
	for _, from := range committables {
		p, token, err := decodeCommittable(from)
		if err == nil {
			err = c.store.Discard(ctx, token)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("file: drop %q: %w", p,
				fault.External(err, fault.RetryLater)))
		}
	}
	return errors.Join(faults...)
}

// CleanUp implements connector.Committer. It removes what earlier attempts of this operator in this
// lineage left in progress, and nothing of another job, lineage or operator: their checkpoints may
// refer to what looks like a leftover here.
func (c *committer) CleanUp(ctx context.Context) error {
	removed := 0
	for e, err := range c.store.ListInProgress(ctx, c.dir) {
		if err != nil {
			return fmt.Errorf("file: clean up %q: %w", c.options.Dir, external(err))
		}
		target, ok := filesystem.InProgressTarget(e.Path)
		if !ok || !c.own.supersedes(target) {
			continue
		}
		err := c.store.Remove(ctx, e.Path)
		if err != nil && !errors.Is(err, filesystem.ErrNotExist) {
			return fmt.Errorf("file: clean up %q: %w", c.options.Dir, external(err))
		}
		removed++
	}
	if removed > 0 && c.env.Logger != nil {
		c.env.Logger.Info("removed files that earlier attempts left unfinished", "count", removed,
			"path", c.options.Dir)
	}
	return nil
}

// Close implements connector.Committer.
func (c *committer) Close() error { return nil }

// The serial form of a committable, version 1: path and token, each with its length as uvarint
// before it.
const committableVersion = 1

func encodeCommittable(path string, token filesystem.Token) connector.Committable {
	b := appendText(appendText(nil, []byte(path)), token)
	return connector.Committable{Version: committableVersion, Data: b}
}

func decodeCommittable(c connector.Committable) (path string, token filesystem.Token, err error) {
	if c.Version != committableVersion {
		return "", nil, fault.Internal(fmt.Errorf("file: read committable: version %d, want %d",
			c.Version, committableVersion))
	}
	text, rest, ok := cutText(c.Data)
	if ok {
		token, rest, ok = cutText(rest)
	}
	if !ok || len(rest) > 0 {
		return "", nil, fault.Internal(fmt.Errorf("file: read committable: %w", errDamaged))
	}
	return string(text), token, nil
}
