package rest

import (
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/checkpoint/meta"
)

func overviewOf(d Description, now time.Time) JobOverview {
	return JobOverview{
		ID: d.ID, Name: d.Name, JobType: "STREAMING", SchedulerType: "Default",
		StartTime: d.Started.UnixMilli(), EndTime: -1,
		Duration: now.Sub(d.Started).Milliseconds(), State: d.Status,
		LastModification: d.Started.UnixMilli(), Tasks: countsOf(d),
	}
}

func countsOf(d Description) TaskCounts {
	c := TaskCounts{Total: len(d.Tasks)}
	switch d.Status {
	case "RUNNING", "FAILING", "CANCELLING":
		c.Running = c.Total
	case "FINISHED":
		c.Finished = c.Total
	case "CANCELED":
		c.Canceled = c.Total
	default:
		c.Created = c.Total
	}
	return c
}

func detailsOf(d Description, now time.Time) JobDetails {
	details := JobDetails{
		ID: d.ID, Name: d.Name, IsStoppable: true, State: d.Status, JobType: "STREAMING",
		SchedulerType: "Default", StartTime: d.Started.UnixMilli(), EndTime: -1,
		Duration: now.Sub(d.Started).Milliseconds(), MaxParallelism: d.MaxParallel,
		Now: now.UnixMilli(), Timestamps: map[string]int64{"CREATED": d.Started.UnixMilli()},
		Vertices: []Vertex{}, StatusCounts: map[string]int{},
		Plan: Plan{ID: d.ID, Name: d.Name, Type: "STREAMING", Nodes: []struct{}{}},

		Directory: d.Directory, Process: d.Process, Restarts: d.Restarts,
		StateBytes: d.StateBytes, RecordsIn: d.RecordsIn, RecordsOut: d.RecordsOut,
	}
	if d.Watermark != math.MinInt64 {
		details.Watermark = &d.Watermark
	}
	for _, task := range d.Tasks {
		details.add(d, task)
	}
	return details
}

// add adds a subtask to its vertex.
func (j *JobDetails) add(d Description, task TaskDescription) {
	i := slices.IndexFunc(j.Vertices, func(v Vertex) bool { return v.Name == task.Vertex })
	if i < 0 {
		id := meta.OperatorID(task.Vertex)
		i = len(j.Vertices)
		j.Vertices = append(j.Vertices, Vertex{
			ID: hex.EncodeToString(id[:]), Name: task.Vertex, MaxParallelism: d.MaxParallel,
			Parallelism: task.Parallelism, Status: d.Status, StartTime: j.StartTime,
			EndTime: -1, Duration: j.Duration, Tasks: map[string]int{},
		})
	}
	v := &j.Vertices[i]
	v.Tasks[d.Status]++
	j.StatusCounts[d.Status]++
	v.StateBytes += task.StateBytes
	v.Metrics.ReadRecords += task.RecordsIn
	v.Metrics.WriteRecords += task.RecordsOut
	v.Metrics.ReadRecordsComplete, v.Metrics.WriteRecordsComplete = true, true
	v.Metrics.Busy += float64(task.Busy.Milliseconds())
	v.Metrics.Idle += task.Idle.Milliseconds()
	v.Metrics.Backpressured += task.Backpressured.Milliseconds()
}

func checkpointOf(c CheckpointRecord) CheckpointDetail {
	d := CheckpointDetail{
		ID: c.ID, Status: c.Status, IsSavepoint: c.Savepoint, Trigger: c.Trigger.UnixMilli(),
		LatestAck: c.Trigger.Add(c.Duration).UnixMilli(), CheckpointedSize: c.Bytes,
		StateSize: c.Bytes, Duration: c.Duration.Milliseconds(), CheckpointType: "CHECKPOINT",
		Tasks: map[string]struct{}{}, ExternalPath: c.Path,
	}
	if c.Savepoint {
		format := "CANONICAL"
		d.SavepointFormat, d.CheckpointType = &format, "SAVEPOINT"
	}
	switch c.Status {
	case "COMPLETED":
		d.ClassName = "completed"
	case "FAILED":
		d.ClassName, d.FailureMessage, d.FailureTime = "failed", c.Failure, d.LatestAck
	default:
		d.ClassName, d.LatestAck = "in_progress", -1
	}
	return d
}

// statisticsOf describes checkpoints given newest first.
func statisticsOf(checkpoints []CheckpointRecord) CheckpointStatistics {
	s := CheckpointStatistics{History: []CheckpointDetail{}}
	var sizes, durations []int64
	for _, c := range checkpoints {
		d := checkpointOf(c)
		s.History = append(s.History, d)
		s.Counts.Total++
		switch {
		case d.Status == "FAILED":
			s.Counts.Failed++
			s.Latest.Failed = first(s.Latest.Failed, d)
		case d.Status != "COMPLETED":
			s.Counts.InProgress++
		default:
			s.Counts.Completed++
			sizes = append(sizes, d.CheckpointedSize)
			durations = append(durations, d.Duration)
			if d.IsSavepoint {
				s.Latest.Savepoint = first(s.Latest.Savepoint, d)
			} else {
				s.Latest.Completed = first(s.Latest.Completed, d)
			}
		}
	}
	s.Summary.CheckpointedSize = quantilesOf(sizes)
	s.Summary.StateSize = s.Summary.CheckpointedSize
	s.Summary.Duration = quantilesOf(durations)
	return s
}

func first(known *CheckpointDetail, d CheckpointDetail) *CheckpointDetail {
	if known != nil {
		return known
	}
	return &d
}

func quantilesOf(values []int64) Quantiles {
	if len(values) == 0 {
		return Quantiles{}
	}
	values = slices.Sorted(slices.Values(values))
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	at := func(q float64) float64 { return float64(values[int(q*float64(len(values)-1)+0.5)]) }
	return Quantiles{Min: values[0], Max: values[len(values)-1], Avg: sum / int64(len(values)),
		P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999)}
}
