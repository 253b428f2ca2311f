package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/state/view"
)

// find returns the checkpoint that a person means: at a path, the newest of a job name below a
// root, or of the only job below a root. Without a place, a running job of the name says where its
// checkpoints are.
func (p *Program) find(ctx context.Context, args []string, job string) (*store.Found, error) {
	root := rootOf(args)
	if len(args) == 0 && job != "" {
		running, err := p.job(ctx, job)
		if _, several := err.(usageError); several {
			return nil, err
		}
		if err == nil {
			details, err := running.client.Details(ctx, running.ID)
			if err != nil {
				return nil, err
			}
			root, job = details.Directory, details.Name
		}
	}
	var found *store.Found
	err := error(store.ErrNoMetadata)
	if job == "" {
		found, err = store.Read(ctx, p.Files, root)
	}
	if errors.Is(err, store.ErrNoMetadata) {
		found, err = p.newest(ctx, root, job, err)
	}
	return found, err
}

// newest returns the newest checkpoint of a job below a root. notHere is why the root itself is no
// checkpoint.
func (p *Program) newest(
	ctx context.Context, root, name string, notHere error,
) (*store.Found, error) {
	jobs, err := store.ListJobs(ctx, p.Files, root)
	if errors.Is(err, store.ErrNoCheckpoint) && name == "" {
		return nil, notHere
	}
	if err != nil {
		return nil, err
	}
	if jobs, err = named(jobs, name); err != nil {
		return nil, err
	}
	job, err := onlyJob(jobs, root)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, p.Files, root, job.Name)
	if err != nil {
		return nil, err
	}
	return s.Latest(ctx)
}

// onlyJob returns the job of a root that has a name; there must be one.
func onlyJob(jobs []store.JobListing, root string) (store.JobListing, error) {
	var names []string
	var only store.JobListing
	for _, job := range jobs {
		if job.Name != "" {
			names, only = append(names, job.Name), job
		}
	}
	if len(names) != 1 {
		return only, usage("%s holds checkpoints of %d jobs; choose one with --job: %s", root,
			len(names), strings.Join(names, ", "))
	}
	return only, nil
}

// locate returns the place of a checkpoint: the path as given or, when that is a root, the place
// of the newest checkpoint of a job name below it, or of the only job.
func (p *Program) locate(ctx context.Context, path, job string) (string, error) {
	if job == "" {
		if _, err := store.Read(ctx, p.Files, path); !errors.Is(err, store.ErrNoMetadata) {
			return path, nil // what is wrong with it, others find
		}
	}
	jobs, err := store.ListJobs(ctx, p.Files, path)
	if job == "" && (errors.Is(err, store.ErrNoCheckpoint) || len(jobs) == 0) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	if jobs, err = named(jobs, job); err != nil {
		return "", err
	}
	only := jobs[0]
	if job == "" {
		if only, err = onlyJob(jobs, path); err != nil {
			return "", err
		}
	}
	if len(only.Checkpoints) == 0 {
		return "", notFound("job %q has no complete checkpoint in %s", only.Name, path)
	}
	return only.Checkpoints[0].URI, nil
}

// look opens a checkpoint for looking inside.
func look(found *store.Found) *view.Checkpoint {
	return view.New(found.Meta, found.OpenFile)
}

// verifyRows decodes every row and element of a checkpoint whose files are whole.
func (p *Program) verifyRows(ctx context.Context, verified *store.Verified) {
	c := look(verified.Found)
	head := &verified.Files[0]
	for _, operator := range c.Operators() {
		sections, err := operator.Sections()
		if err != nil {
			head.Problems = append(head.Problems, err)
			continue
		}
		for _, section := range sections {
			err := c.Scan(ctx, section, view.Query{}, func(view.Entry) bool { return true })
			if err != nil {
				head.Problems = append(head.Problems,
					fmt.Errorf("operator %q: %w", operator.Label(), err))
			}
		}
	}
}
