package cli

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/surface/rest"
)

// defaultRoot is where jobs keep checkpoints unless told otherwise.
const defaultRoot = ".leat"

func (p *Program) checkpoint() *cobra.Command {
	full := false
	cmd := &cobra.Command{
		Use:   "checkpoint <job>",
		Short: "Take a checkpoint of a running job, or look after checkpoints",
		Long: `Take a checkpoint of a running job now. It is one of the job's own: kept and
removed like those it takes by itself.`,
		Example: "  leat checkpoint flights\n  leat checkpoint ls .leat",
		Args:    arguments(1, 1, "a job's name or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.takeCheckpoint(cmd.Context(), args[0], full)
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "write all state, not only what changed")
	cmd.AddCommand(p.checkpointList(), p.checkpointVerify(), p.checkpointCheck(),
		p.checkpointCollect())
	return cmd
}

func (p *Program) takeCheckpoint(ctx context.Context, wanted string, full bool) error {
	job, err := p.job(ctx, wanted)
	if err != nil {
		return err
	}
	kind := "CONFIGURED"
	if full {
		kind = "FULL"
	}
	done, err := job.client.Checkpoint(ctx, job.ID, rest.TriggerCheckpoint{CheckpointType: kind})
	if err != nil {
		return fmt.Errorf("take checkpoint of job %q: %w", job.Name, err)
	}
	if p.format == formatJSON {
		return p.json(outcome{Job: job.ID, Name: job.Name, Checkpoint: done.CheckpointID})
	}
	p.printf("Checkpoint(%s) %d for job %s completed.\n", kind, done.CheckpointID, job.ID)
	return nil
}

// rootOf returns the root that the arguments name.
func rootOf(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return defaultRoot
}

type checkpointJSON struct {
	ID         uint64 `json:"id"`
	Kind       string `json:"kind"`
	JobID      string `json:"jobId"`
	Generation uint64 `json:"generation"`
	Triggered  string `json:"triggered"`
	Path       string `json:"path"`
	StateBytes int64  `json:"stateBytes"`
	NewBytes   int64  `json:"newBytes"`
	Files      int    `json:"files"`
	Committed  bool   `json:"committed"`
	Problem    string `json:"problem,omitempty"`
}

type jobJSON struct {
	Job         string           `json:"job"`
	Generation  uint64           `json:"generation"`
	Checkpoints []checkpointJSON `json:"checkpoints"`
	Problems    []string         `json:"problems,omitempty"`
}

func (p *Program) checkpointList() *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use: "ls [root]", Short: "List the checkpoints of all jobs below a root",
		Long: `List the complete checkpoints below a root (default .leat), newest first.

STATE is all that a checkpoint refers to, WRITTEN what was written for it alone.
SINKS says whether the sinks are known to have committed it; if not, the next
start from it commits first, which changes nothing when it was done before.`,
		Example: "  leat checkpoint ls /data/ck --job flights",
		Args:    arguments(0, 1, "at most a root directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			jobs, err := store.ListJobs(cmd.Context(), p.Files, rootOf(args))
			if err != nil {
				return err
			}
			if jobs, err = named(jobs, name); err != nil {
				return err
			}
			damaged := false
			for _, job := range jobs {
				damaged = damaged || len(job.Problems) > 0
				for _, c := range job.Checkpoints {
					damaged = damaged || c.Problem != nil
				}
			}
			if p.format == formatJSON {
				err = p.json(jobsJSON(jobs))
			} else {
				p.checkpointTables(jobs)
			}
			if err == nil && damaged {
				return errDamaged
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "job", "", "only those of this job name")
	return cmd
}

// named keeps the job of a name; "" means all.
func named(jobs []store.JobListing, name string) ([]store.JobListing, error) {
	if name == "" {
		return jobs, nil
	}
	var names []string
	for _, job := range jobs {
		if job.Name == name || hasJobID(job, name) {
			return []store.JobListing{job}, nil
		}
		names = append(names, fmt.Sprintf("%q", job.Name))
	}
	return nil, notFound("no checkpoint of a job %q there; there are jobs %s", name,
		strings.Join(names, ", "))
}

func hasJobID(job store.JobListing, id string) bool {
	for _, c := range job.Checkpoints {
		if c.Record.JobID == id {
			return true
		}
	}
	return false
}

func jobsJSON(jobs []store.JobListing) []jobJSON {
	all := []jobJSON{}
	for _, job := range jobs {
		one := jobJSON{Job: job.Name, Generation: job.Generation,
			Checkpoints: []checkpointJSON{}}
		for _, c := range job.Checkpoints {
			line := checkpointJSON{
				ID: c.Record.Checkpoint, Kind: c.Record.Kind, JobID: c.Record.JobID,
				Generation: c.Record.Generation, Triggered: iso(c.Record.TriggerMillis),
				Path: c.URI, StateBytes: c.StateBytes, NewBytes: c.NewBytes, Files: c.Files,
				Committed: c.Committed,
			}
			if c.Problem != nil {
				line.Problem = c.Problem.Error()
			}
			one.Checkpoints = append(one.Checkpoints, line)
		}
		for _, problem := range job.Problems {
			one.Problems = append(one.Problems, problem.Error())
		}
		all = append(all, one)
	}
	return all
}

func (p *Program) checkpointTables(jobs []store.JobListing) {
	for i, job := range jobs {
		if i > 0 {
			p.printf("\n")
		}
		if job.Name != "" {
			p.printf("job %s, generation %d\n", job.Name, job.Generation)
		}
		if job.Name != "" && len(job.Checkpoints) == 0 {
			p.printf("  no complete checkpoint\n")
		}
		for at := 0; at < len(job.Checkpoints); {
			end := at + 1
			for end < len(job.Checkpoints) && parent(job.Checkpoints[end].URI) ==
				parent(job.Checkpoints[at].URI) {
				end++
			}
			p.checkpointTable(job.Checkpoints[at:end])
			at = end
		}
		for _, problem := range job.Problems {
			p.printf("  damaged: %s\n", message(problem))
		}
	}
}

// parent is the URI of the directory that a directory is in.
func parent(uri string) string { return uri[:max(0, strings.LastIndexByte(uri, '/'))] }

// checkpointTable prints checkpoints that lie in one directory.
func (p *Program) checkpointTable(checkpoints []store.CheckpointListing) {
	p.printf("in %s\n", parent(checkpoints[0].URI))
	t := p.table("  ", column{title: "NAME"}, column{title: "KIND"}, column{title: "TRIGGERED"},
		column{title: "STATE", right: true}, column{title: "WRITTEN", right: true},
		column{title: "FILES", right: true}, column{title: "SINKS"})
	for _, c := range checkpoints {
		state, written, files := sizeText(c.StateBytes), sizeText(c.NewBytes), grouped(c.Files)
		sinks := "committed"
		if !c.Committed {
			sinks = "not marked"
		}
		if c.Problem != nil {
			state, written, files, sinks = "-", "-", "-", "DAMAGED"
		}
		t.row(path.Base(c.URI), c.Record.Kind, timeText(c.Record.TriggerMillis), state, written,
			files, sinks)
	}
	t.flush()
	for _, c := range checkpoints {
		if c.Problem != nil {
			p.printf("  %s: %s\n", path.Base(c.URI), message(c.Problem))
		}
	}
}

type verifiedJSON struct {
	Path  string             `json:"path"`
	OK    bool               `json:"ok"`
	Files []verifiedFileJSON `json:"files"`
}

type verifiedFileJSON struct {
	Path     string   `json:"path"`
	Bytes    int64    `json:"bytes"`
	Runs     int      `json:"runs"`
	Rows     int64    `json:"rows"`
	Problems []string `json:"problems,omitempty"`
}

func (p *Program) checkpointVerify() *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use: "verify <path>", Short: "Read a checkpoint or savepoint whole and say what is wrong",
		Long: `Read a checkpoint or savepoint whole: its metadata, and of every file it refers to
that it is there, has its size and its digest, and that every row decodes by its
schema. <path> is its directory, or with --job a root whose newest is meant. Ends
with 1 when something is wrong, after naming every file.`,
		Example: "  leat checkpoint verify /data/savepoints/savepoint-3f2a91-0c8d1e22a6b7",
		Args:    arguments(1, 1, "the path of a checkpoint or savepoint"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := p.locate(cmd.Context(), args[0], name)
			if err != nil {
				return err
			}
			verified, err := store.Verify(cmd.Context(), p.Files, at)
			if err != nil {
				return err
			}
			if verified.OK() {
				p.verifyRows(cmd.Context(), verified)
			}
			return p.printVerified(at, verified)
		},
	}
	cmd.Flags().StringVar(&name, "job", "",
		"path is a root: verify the newest of this job name\n(not needed with one job)")
	return cmd
}

func (p *Program) printVerified(at string, verified *store.Verified) error {
	if p.format == formatJSON {
		out := verifiedJSON{Path: at, OK: verified.OK(), Files: []verifiedFileJSON{}}
		for _, f := range verified.Files {
			file := verifiedFileJSON{Path: f.Path, Bytes: f.Bytes, Runs: f.Runs, Rows: f.Rows}
			for _, problem := range f.Problems {
				file.Problems = append(file.Problems, problem.Error())
			}
			out.Files = append(out.Files, file)
		}
		if err := p.json(out); err != nil {
			return err
		}
	} else {
		p.verifiedText(verified)
	}
	if !verified.OK() {
		return errDamaged
	}
	return nil
}

func (p *Program) verifiedText(verified *store.Verified) {
	bytes, rows, bad := int64(0), int64(0), 0
	for _, f := range verified.Files {
		bytes += f.Bytes
		rows += f.Rows
		for _, problem := range f.Problems {
			p.printf("BAD  %s\n     %s\n", f.Path, message(problem))
		}
		if len(f.Problems) > 0 {
			bad++
		}
	}
	if bad > 0 {
		p.printf("%d of %s damaged\n", bad, plural(len(verified.Files), "file"))
		return
	}
	p.printf("OK   %s, %s, %s\n", plural(len(verified.Files), "file"), sizeText(bytes),
		plural(rows, "row"))
}
