package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/checkpoint/store"
)

type findingJSON struct {
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"`
	What     string `json:"what"`
}

func (p *Program) checkpointCheck() *cobra.Command {
	return &cobra.Command{
		Use: "fsck [root]", Short: "Compare records, checkpoints and files below a root",
		Long: `Look at everything below a root (default .leat): files that are missing, files
that nothing refers to, records without metadata, metadata without records,
half-written savepoints, what killed writers left. Nothing is changed. Sizes are
compared and contents are not read: that is what verify does.

Ends with 1 when there is a defect; garbage and notes are none.`,
		Example: "  leat checkpoint fsck /data/ck",
		Args:    arguments(0, 1, "at most a root directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := store.Fsck(cmd.Context(), p.Files, rootOf(args))
			if err != nil {
				return err
			}
			if p.format == formatJSON {
				findings := []findingJSON{}
				for _, f := range report.Findings {
					findings = append(findings, findingJSON{Severity: f.Severity.String(),
						Path: f.URI, Bytes: f.Bytes, What: f.What})
				}
				err = p.json(findings)
			} else {
				p.reportText(report)
			}
			if err == nil && report.Defects() > 0 {
				return errDamaged
			}
			return err
		},
	}
}

func (p *Program) reportText(report *store.Report) {
	counts := map[store.Severity]int{}
	garbage := int64(0)
	for _, f := range report.Findings {
		counts[f.Severity]++
		size := ""
		if f.Severity == store.Garbage {
			garbage += f.Bytes
			size = " (" + sizeText(f.Bytes) + ")"
		}
		p.printf("%-8s %s%s\n         %s\n", f.Severity, f.URI, size, f.What)
	}
	p.printf("%s, %s in %s: %s, %s (%s)\n", plural(report.Checkpoints, "complete checkpoint"),
		sizeText(report.Bytes), plural(report.Objects, "object"),
		plural(counts[store.Defect], "defect"), plural(counts[store.Garbage], "piece")+
			" of garbage", sizeText(garbage))
}

type fateJSON struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	Remove bool   `json:"remove"`
	Why    string `json:"why"`
}

func (p *Program) checkpointCollect() *cobra.Command {
	dry, retain, name := false, 1, ""
	cmd := &cobra.Command{
		Use: "gc [root] --dry-run", Short: "Say what a job's next sweep would remove, and why",
		Long: `Say what the sweep of a job would remove below a root (default .leat) and why it
keeps the rest. Nothing is removed: a job removes what it no longer needs by itself
after each checkpoint, and only the job can know what it still needs, so that gc
without --dry-run is refused. For a job that will never run again, copy what you
want to keep with leat savepoint copy and remove its directories.`,
		Example: "  leat checkpoint gc --dry-run /data/ck --job flights --retained 3",
		Args:    arguments(0, 1, "at most a root directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !dry {
				return usage("checkpoint gc: only the job itself may remove its checkpoints, and " +
					"does so after each one; add --dry-run to see what it would remove")
			}
			return p.collect(cmd.Context(), rootOf(args), name, retain)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "change nothing (required)")
	cmd.Flags().IntVar(&retain, "retained", 1,
		"how many checkpoints stay: execution.checkpointing.num-retained of the job")
	cmd.Flags().StringVar(&name, "job", "", "only those of this job name")
	return cmd
}

func (p *Program) collect(ctx context.Context, root, name string, retain int) error {
	jobs, err := store.ListJobs(ctx, p.Files, root)
	if err != nil {
		return err
	}
	if jobs, err = named(jobs, name); err != nil {
		return err
	}
	all := map[string][]fateJSON{}
	for _, job := range jobs {
		if len(job.Checkpoints) == 0 {
			continue
		}
		s, err := store.Open(ctx, p.Files, root, job.Name)
		if err != nil {
			return err
		}
		s.Retain(retain)
		plan, err := s.PlanSweep(ctx)
		if err != nil {
			return err
		}
		for _, fate := range plan.Fates {
			all[job.Name] = append(all[job.Name], fateJSON{Path: fate.URI, Bytes: fate.Bytes,
				Remove: fate.Remove, Why: fate.Why})
		}
		if p.format == formatTable {
			p.planText(job.Name, plan)
		}
	}
	if p.format == formatJSON {
		return p.json(all)
	}
	return nil
}

func (p *Program) planText(name string, plan *store.SweepPlan) {
	numbers := make([]string, len(plan.Retained))
	for i, n := range plan.Retained {
		numbers[i] = fmt.Sprint(n)
	}
	removed := 0
	p.printf("job %s, retained: checkpoint %s\n", name, strings.Join(numbers, ", "))
	for _, fate := range plan.Fates {
		word := "keep  "
		if fate.Remove {
			word = "remove"
			removed++
		}
		p.printf("  %s  %10s  %s\n%22s%s\n", word, sizeText(fate.Bytes), fate.URI, "", fate.Why)
	}
	p.printf("would remove %s, %s\n", plural(removed, "object"), sizeText(plan.Bytes))
}
