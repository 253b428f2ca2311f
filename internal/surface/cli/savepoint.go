package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/surface/rest"
)

// uriOf returns a URI for a path of a store.
func uriOf(files filesystem.FileSystem, path string) string {
	if files.Scheme() == "file" {
		return "file://" + path
	}
	return files.Scheme() + ":/" + path
}

func (p *Program) savepoint() *cobra.Command {
	var dispose, format string
	cmd := &cobra.Command{
		Use:   "savepoint <job> [directory]",
		Short: "Take a savepoint of a running job, or look after savepoints",
		Long: `Take a savepoint of a running job, in a new directory below the given one or below
the configured one (execution.checkpointing.savepoint-dir). The job goes on.

With --dispose PATH, as in Flink, remove a savepoint instead.`,
		Example: "  leat savepoint flights /data/savepoints\n  leat savepoint ls /data/savepoints",
		Args:    arguments(0, 2, "a job's name or id, and perhaps a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dispose != "" {
				if len(args) > 0 {
					return usage("flag --dispose: takes no job; it removes %q wherever it came "+
						"from", dispose)
				}
				return p.disposeSavepoint(cmd.Context(), dispose, defaultRoot)
			}
			if len(args) == 0 {
				return usage("savepoint: want a job's name or id; see leat savepoint --help")
			}
			return p.takeSavepoint(cmd.Context(), args, format)
		},
	}
	cmd.Flags().StringVarP(&dispose, "dispose", "d", "", "remove the savepoint at this path")
	cmd.Flags().StringVar(&format, "type", "canonical", typeFlag)
	cmd.AddCommand(p.savepointList(), p.savepointCopy(), p.savepointDispose())
	return cmd
}

func (p *Program) takeSavepoint(ctx context.Context, args []string, format string) error {
	job, err := p.job(ctx, args[0])
	if err != nil {
		return err
	}
	request := rest.TriggerSavepoint{}
	if request.FormatType, err = formatType(format); err != nil {
		return err
	}
	if len(args) > 1 {
		if request.TargetDirectory, err = p.absolute(args[1]); err != nil {
			return err
		}
	}
	if p.format == formatTable {
		p.printf("Triggering savepoint for job %s.\n", job.ID)
	}
	done, err := job.client.Savepoint(ctx, job.ID, request)
	if err != nil {
		return fmt.Errorf("take savepoint of job %q: %w", job.Name, err)
	}
	return p.savepointDone(job, done)
}

func (p *Program) savepointDispose() *cobra.Command {
	root := ""
	cmd := &cobra.Command{
		Use: "dispose <path>", Short: "Remove a savepoint",
		Long: `Remove a savepoint: its _metadata first, so that what is left of an interrupted
call is no savepoint, then its files. Anything but a savepoint is refused, and a
savepoint that is the newest state of its job: one that the job was stopped with.`,
		Example: "  leat savepoint dispose /data/savepoints/savepoint-3f2a91-0c8d1e22a6b7",
		Args:    arguments(1, 1, "the path of a savepoint"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.disposeSavepoint(cmd.Context(), args[0], root)
		},
	}
	cmd.Flags().StringVar(&root, "checkpoint-dir", defaultRoot,
		"where the job keeps its checkpoints: they say whether it needs the savepoint")
	return cmd
}

type savepointJSON struct {
	Path       string `json:"path"`
	Job        string `json:"job,omitempty"`
	JobID      string `json:"jobId,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Checkpoint uint64 `json:"checkpoint,omitempty"`
	Triggered  string `json:"triggered,omitempty"`
	Files      int    `json:"files"`
	Bytes      int64  `json:"bytes"`
	Problem    string `json:"problem,omitempty"`
}

func (p *Program) savepointList() *cobra.Command {
	return &cobra.Command{
		Use: "ls <directory>", Short: "List the savepoints in a directory",
		Example: "  leat savepoint ls /data/savepoints",
		Args:    arguments(1, 1, "a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := store.ListSavepoints(cmd.Context(), p.Files, args[0])
			if err != nil {
				return err
			}
			if p.format == formatJSON {
				return p.json(savepointsJSON(found))
			}
			if len(found) == 0 {
				p.note("no savepoint in %s", args[0])
				return nil
			}
			p.savepointTable(found)
			return nil
		},
	}
}

func savepointsJSON(found []store.SavepointListing) []savepointJSON {
	all := []savepointJSON{}
	for _, s := range found {
		one := savepointJSON{Path: s.URI, Files: s.Files, Bytes: s.Bytes}
		if s.Found != nil {
			h := s.Found.Meta.Header
			one.Job, one.JobID, one.Kind = h.GetJobName(), h.GetJobId(), h.GetKind()
			one.Checkpoint, one.Triggered = h.GetCheckpointId(), iso(h.GetTriggerMillis())
		}
		if s.Problem != nil {
			one.Problem = s.Problem.Error()
		}
		all = append(all, one)
	}
	return all
}

func (p *Program) savepointTable(found []store.SavepointListing) {
	t := p.table("", column{title: "SAVEPOINT"}, column{title: "JOB", give: true},
		column{title: "NUMBER", right: true}, column{title: "TAKEN"},
		column{title: "SIZE", right: true}, column{title: "PROBLEM", give: true})
	for _, s := range found {
		name := s.URI[strings.LastIndexByte(s.URI, '/')+1:]
		job, number, taken, problem := "?", "-", "-", ""
		if s.Found != nil {
			h := s.Found.Meta.Header
			job, number = h.GetJobName(), fmt.Sprint(h.GetCheckpointId())
			taken = timeText(h.GetTriggerMillis())
		}
		if s.Problem != nil {
			problem = message(s.Problem)
		}
		t.row(name, job, number, taken, sizeText(s.Bytes), problem)
	}
	t.flush()
}

func (p *Program) savepointCopy() *cobra.Command {
	return &cobra.Command{
		Use:   "copy <from> <to>",
		Short: "Copy a savepoint or checkpoint as a self-contained savepoint",
		Long: `Copy a savepoint, or make one out of a checkpoint, between any two stores. <to> is
the directory of the new savepoint. Every file it refers to comes along and is
verified on the way; the _metadata is written last. Nothing is overwritten, and an
interrupted copy is completed by the same command. <from> may be a directory with
the checkpoints of one job, of which the newest is copied.`,
		Example: "  leat savepoint copy /data/sp/savepoint-3f2a91-0c8d1e22a6b7 /backup/monday\n" +
			"  leat savepoint copy .leat/8f14e45fceea167a5a36dedd4bea2543/chk-7 /backup/chk-7",
		Args: arguments(2, 2, "where to copy from and to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			progress := func(file string, bytes int64) {
				if p.Width > 0 && bytes > 0 {
					p.note("copied %s, %s", file, sizeText(bytes))
				}
			}
			from, err := p.locate(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			copied, err := store.CopySavepoint(cmd.Context(), p.Files, from, args[1], progress)
			if err != nil {
				return err
			}
			if p.format == formatJSON {
				return p.json(savepointJSON{Path: copied.URI, Kind: "savepoint",
					Files: copied.Files, Bytes: copied.Bytes})
			}
			existing := ""
			if copied.Existing > 0 {
				existing = fmt.Sprintf(" (%s there already)", plural(copied.Existing, "file"))
			}
			p.printf("Savepoint copied: %s, %s%s. Path: %s\n", plural(copied.Files, "file"),
				sizeText(copied.Bytes), existing, copied.URI)
			return nil
		},
	}
}

// disposeSavepoint removes a savepoint. A running job of its name does that itself, since it knows
// what it needs; else the checkpoints below root say whether the job was stopped with it.
func (p *Program) disposeSavepoint(ctx context.Context, path, root string) error {
	found, err := store.Read(ctx, p.Files, path)
	if err != nil {
		return err
	}
	name := found.Meta.Header.GetJobName()
	job, err := p.job(ctx, name)
	switch {
	case err == nil:
		err = job.client.Dispose(ctx, found.Directory())
	case errors.Is(err, errNotFound):
		err = store.Dispose(ctx, p.Files, path, func(found *store.Found) error {
			s, err := store.Open(ctx, p.Files, root, name)
			if err != nil {
				return err
			}
			return s.InUse(ctx, found)
		})
	}
	if err != nil {
		return err
	}
	if p.format == formatJSON {
		return p.json(savepointJSON{Path: path})
	}
	p.printf("Savepoint '%s' disposed.\n", path)
	return nil
}
