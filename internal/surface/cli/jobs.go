package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/base/sockets"
	"github.com/leat-io/leat/internal/state/view"
	"github.com/leat-io/leat/internal/surface/rest"
)

func dialer(dir, socket string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return sockets.Dial(ctx, dir, socket) }
}

// running is a job that answers.
type running struct {
	rest.JobOverview
	client *rest.Client
}

// answerTime is how long a job may take to say what it is: it is on this machine.
const answerTime = 5 * time.Second

// jobs returns the jobs of this user that answer, by name and start.
func (p *Program) jobs(ctx context.Context) ([]running, error) {
	names, err := sockets.List(p.Sockets)
	if err != nil {
		return nil, err
	}
	var all []running
	for _, name := range names {
		client := p.connect(name)
		asking, cancel := context.WithTimeout(ctx, answerTime)
		overview, err := client.Overview(asking)
		cancel()
		switch {
		case errors.Is(err, sockets.ErrGone) || errors.Is(err, net.ErrClosed):
			continue
		case err != nil && ctx.Err() != nil:
			return nil, err
		case err != nil:
			p.note("leat: the program at socket %s does not answer: %v", name, err)
			continue
		}
		for _, job := range overview {
			all = append(all, running{JobOverview: job, client: client})
		}
	}
	slices.SortFunc(all, func(a, b running) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.StartTime - b.StartTime)
	})
	return all, nil
}

// job finds a running job by id or, when only one has it, by name.
func (p *Program) job(ctx context.Context, wanted string) (*running, error) {
	all, err := p.jobs(ctx)
	if err != nil {
		return nil, err
	}
	var byID, byName []*running
	var names []string
	for i := range all {
		job := &all[i]
		switch {
		case job.ID == wanted:
			byID = append(byID, job)
		case job.Name == wanted:
			byName = append(byName, job)
		}
		names = append(names, fmt.Sprintf("%s (%s)", job.Name, job.ID))
	}
	found := byID
	if len(found) == 0 {
		found = byName
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, p.ambiguous(ctx, wanted, found)
	case len(names) == 0:
		return nil, notFound("no job %q: no job of yours runs on this machine "+
			"(looked for sockets in %s)", wanted, p.Sockets)
	}
	return nil, notFound("no job %q; running are: %s", wanted, strings.Join(names, ", "))
}

// ambiguous says which jobs are meant by one name, and where their checkpoints are, by which a
// person knows them.
func (p *Program) ambiguous(ctx context.Context, wanted string, found []*running) error {
	var which []string
	for _, job := range found {
		text := fmt.Sprintf("%s, since %s", job.ID, iso(job.StartTime))
		if details, err := job.client.Details(ctx, job.ID); err == nil {
			text += ", checkpoints in " + details.Directory
		}
		which = append(which, text)
	}
	return usage("%d running jobs are meant by %q; give the id of one of them: %s", len(found),
		wanted, strings.Join(which, "; "))
}

func (p *Program) list() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the running jobs of this machine",
		Long: `List the jobs that you run on this machine. -o flink prints the lines that
Flink's list prints, for scripts made for those.`,
		Example: "  leat list\n  leat list -o json | jq -r '.[].id'",
		Args:    arguments(0, 0, "no arguments"),
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if p.format == formatFlink {
				return nil
			}
			return p.checkFormat()
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			jobs, err := p.jobs(cmd.Context())
			if err != nil {
				return err
			}
			switch p.format {
			case formatJSON:
				return p.json(listJSON(jobs))
			case formatFlink:
				p.listFlink(jobs)
				return nil
			}
			p.listTable(jobs)
			return nil
		},
	}
	// Flink's switches: what they ask for is all there is.
	cmd.Flags().BoolP("running", "r", false, "only running jobs: there are no others")
	cmd.Flags().BoolP("all", "a", false, "all jobs that run")
	return cmd
}

const formatFlink = "flink"

type listedJob struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Started string `json:"started"`
	Seconds int64  `json:"seconds"`
	Tasks   int    `json:"tasks"`
}

func listJSON(jobs []running) []listedJob {
	listed := []listedJob{}
	for _, j := range jobs {
		listed = append(listed, listedJob{ID: j.ID, Name: j.Name, Status: j.State,
			Started: iso(j.StartTime), Seconds: j.Duration / 1000, Tasks: j.Tasks.Total})
	}
	return listed
}

func (p *Program) listTable(jobs []running) {
	if len(jobs) == 0 {
		p.note("no job of yours runs on this machine (looked for sockets in %s)", p.Sockets)
		return
	}
	t := p.table("", column{title: "NAME", give: true}, column{title: "ID"},
		column{title: "STATUS"}, column{title: "TASKS", right: true},
		column{title: "RUNNING FOR", right: true})
	for _, j := range jobs {
		t.row(j.Name, j.ID, j.State, grouped(j.Tasks.Total),
			(time.Duration(j.Duration/1000) * time.Second).String())
	}
	t.flush()
}

func (p *Program) listFlink(jobs []running) {
	if len(jobs) == 0 {
		p.printf("No running jobs.\nNo scheduled jobs.\n")
		return
	}
	p.printf("------------------ Running/Restarting Jobs -------------------\n")
	for _, j := range jobs {
		p.printf("%s : %s : %s (%s)\n",
			time.UnixMilli(j.StartTime).Format("02.01.2006 15:04:05"), j.ID, j.Name, j.State)
	}
	p.printf("--------------------------------------------------------------\nNo scheduled jobs.\n")
}

func (p *Program) describe() *cobra.Command {
	return &cobra.Command{
		Use: "info <job>", Short: "Describe a running job: tasks, throughput, checkpoints",
		Example: "  leat info flights", Args: arguments(1, 1, "a job's name or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := p.job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			details, err := job.client.Details(cmd.Context(), job.ID)
			if err != nil {
				return err
			}
			checkpoints, err := job.client.Checkpoints(cmd.Context(), job.ID)
			if err != nil {
				return err
			}
			if p.format == formatJSON {
				return p.json(struct {
					Job         *rest.JobDetails           `json:"job"`
					Checkpoints *rest.CheckpointStatistics `json:"checkpoints"`
				}{details, checkpoints})
			}
			p.infoTables(details, checkpoints)
			return nil
		},
	}
}

func (p *Program) infoTables(d *rest.JobDetails, c *rest.CheckpointStatistics) {
	p.printf("%s  %s  %s\n\n", d.Name, d.ID, d.State)
	lines := [][2]string{
		{"running for", (time.Duration(d.Duration/1000) * time.Second).String() + ", since " +
			timeText(d.StartTime) + " UTC"},
		{"process", fmt.Sprint(d.Process)},
		{"checkpoints in", d.Directory},
		{"records", grouped(d.RecordsIn) + " read, " + grouped(d.RecordsOut) + " written"},
		{"state in memory", sizeText(d.StateBytes)},
		{"restarts", grouped(d.Restarts)},
	}
	if d.Watermark != nil && *d.Watermark != math.MaxInt64 {
		lines = append(lines, [2]string{"watermark", view.MillisText(*d.Watermark)})
	}
	for _, line := range lines {
		p.printf("  %-16s %s\n", line[0], line[1])
	}
	if len(d.Vertices) > 0 {
		p.printf("\n")
		p.vertexTable(d.Vertices)
	}
	if len(c.History) > 0 {
		p.printf("\n")
		p.historyTable(c.History)
	}
}

func (p *Program) vertexTable(vertices []rest.Vertex) {
	t := p.table("", column{title: "TASKS", give: true}, column{title: "SUBTASKS", right: true},
		column{title: "IN", right: true}, column{title: "OUT", right: true},
		column{title: "STATE", right: true}, column{title: "BUSY", right: true},
		column{title: "HELD UP", right: true})
	for _, v := range vertices {
		total := v.Metrics.Busy + float64(v.Metrics.Idle+v.Metrics.Backpressured)
		t.row(v.Name, grouped(v.Parallelism), grouped(v.Metrics.ReadRecords),
			grouped(v.Metrics.WriteRecords), sizeText(v.StateBytes),
			percent(v.Metrics.Busy, total), percent(float64(v.Metrics.Backpressured), total))
	}
	t.flush()
}

func percent(part, total float64) string {
	if total <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*part/total)
}

// historyRows is how many checkpoints info shows.
const historyRows = 10

func (p *Program) historyTable(history []rest.CheckpointDetail) {
	t := p.table("", column{title: "CHECKPOINT", right: true}, column{title: "KIND"},
		column{title: "STATUS"}, column{title: "TRIGGERED"}, column{title: "TOOK", right: true},
		column{title: "WRITTEN", right: true}, column{title: "FAILURE", give: true})
	for _, c := range history[:min(len(history), historyRows)] {
		kind := "checkpoint"
		if c.IsSavepoint {
			kind = "savepoint"
		}
		t.row(fmt.Sprint(c.ID), kind, c.Status, timeText(c.Trigger),
			durationText(time.Duration(c.Duration)*time.Millisecond), sizeText(c.CheckpointedSize),
			c.FailureMessage)
	}
	t.flush()
}

func (p *Program) cancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel <job>", Short: "End a job without a checkpoint",
		Long: `End a job at once, without a checkpoint: what it read since the last one is read
again when the job is continued. stop ends a job with a savepoint instead.`,
		Example: "  leat cancel flights", Args: arguments(1, 1, "a job's name or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := p.job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if p.format == formatTable {
				p.printf("Cancelling job %s.\n", job.ID)
			}
			if err := job.client.Cancel(cmd.Context(), job.ID); err != nil {
				return fmt.Errorf("cancel job %q: %w", job.Name, err)
			}
			if p.format == formatJSON {
				return p.json(outcome{Job: job.ID, Name: job.Name})
			}
			p.printf("Cancelled job %s.\n", job.ID)
			return nil
		},
	}
}

// outcome is what an operation on a job prints as JSON.
type outcome struct {
	Job        string `json:"job"`
	Name       string `json:"name"`
	Path       string `json:"path,omitempty"`
	Checkpoint uint64 `json:"checkpoint,omitempty"`
}

func (p *Program) stop() *cobra.Command {
	var request rest.TriggerStop
	cmd := &cobra.Command{
		Use: "stop <job>", Short: "End a job with a savepoint",
		Long: `Stop the sources, take a savepoint, commit what the sinks have, and end the job.
Continue from the savepoint with --from PATH, or with --from latest.

With --drain the job behaves as at the end of its input first: windows and timers fire,
though their time has not come. Use it only to end a job for good.`,
		Example: "  leat stop flights -p /data/savepoints\n  leat stop flights --drain",
		Args:    arguments(1, 1, "a job's name or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := p.job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if request.FormatType, err = formatType(request.FormatType); err != nil {
				return err
			}
			if request.TargetDirectory, err = p.absolute(request.TargetDirectory); err != nil {
				return err
			}
			if p.format == formatTable {
				p.printf("Suspending job %q with a %s savepoint.\n", job.ID, request.FormatType)
			}
			done, err := job.client.Stop(cmd.Context(), job.ID, request)
			if err != nil {
				return fmt.Errorf("stop job %q: %w", job.Name, err)
			}
			return p.savepointDone(job, done)
		},
	}
	cmd.Flags().StringVarP(&request.TargetDirectory, "savepointPath", "p", "",
		"directory in which to make the savepoint's (default: the configured one)")
	cmd.Flags().BoolVarP(&request.Drain, "drain", "d", false,
		"fire windows and timers as at the end of the input first")
	cmd.Flags().StringVar(&request.FormatType, "type", "canonical", typeFlag)
	return cmd
}

const typeFlag = "format of the savepoint: canonical, or native, which is the same here"

func formatType(text string) (string, error) {
	switch strings.ToLower(text) {
	case "", "canonical", "native":
		return strings.ToUpper(text), nil
	}
	return "", usage("flag --type %q: want canonical or native", text)
}

// absolute returns where a directory given here is for a program that may run elsewhere.
func (p *Program) absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	files, path, err := p.Files.Resolve(dir)
	if err != nil {
		return "", err
	}
	return uriOf(files, path), nil
}

// savepointDone prints where a savepoint is.
func (p *Program) savepointDone(job *running, done *rest.Operation) error {
	for _, warning := range done.Warnings {
		p.note("leat: %s", warning)
	}
	if p.format == formatJSON {
		return p.json(outcome{Job: job.ID, Name: job.Name, Path: done.Location})
	}
	p.printf("Savepoint completed. Path: %s\n", done.Location)
	return nil
}
