package rest

// The messages have Flink's field names. Those at the end of a message that Flink does not have are
// Leat's own.

// Errors is the body of every answer that refuses.
type Errors struct {
	Errors []string `json:"errors"`
}

// JobsOverview answers GET /jobs/overview.
type JobsOverview struct {
	Jobs []JobOverview `json:"jobs"`
}

// JobOverview is one job of JobsOverview.
type JobOverview struct {
	ID               string     `json:"jid"`
	Name             string     `json:"name"`
	JobType          string     `json:"jobType"`
	SchedulerType    string     `json:"schedulerType"`
	StartTime        int64      `json:"start-time"`
	EndTime          int64      `json:"end-time"`
	Duration         int64      `json:"duration"`
	State            string     `json:"state"`
	LastModification int64      `json:"last-modification"`
	Tasks            TaskCounts `json:"tasks"`
	PendingOperators int        `json:"pending-operators"`
}

// TaskCounts counts subtasks by status.
type TaskCounts struct {
	Total        int `json:"total"`
	Created      int `json:"created"`
	Scheduled    int `json:"scheduled"`
	Deploying    int `json:"deploying"`
	Initializing int `json:"initializing"`
	Running      int `json:"running"`
	Finished     int `json:"finished"`
	Canceling    int `json:"canceling"`
	Canceled     int `json:"canceled"`
	Failed       int `json:"failed"`
	Reconciling  int `json:"reconciling"`
}

// JobIDs answers GET /jobs.
type JobIDs struct {
	Jobs []JobIDStatus `json:"jobs"`
}

// JobIDStatus is one job of JobIDs.
type JobIDStatus struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// JobStatus answers GET /jobs/:jobid/status.
type JobStatus struct {
	Status string `json:"status"`
}

// JobDetails answers GET /jobs/:jobid.
type JobDetails struct {
	ID               string           `json:"jid"`
	ApplicationID    string           `json:"application-id"`
	Name             string           `json:"name"`
	IsStoppable      bool             `json:"isStoppable"`
	State            string           `json:"state"`
	JobType          string           `json:"job-type"`
	SchedulerType    string           `json:"schedulerType"`
	StartTime        int64            `json:"start-time"`
	EndTime          int64            `json:"end-time"`
	Duration         int64            `json:"duration"`
	MaxParallelism   int              `json:"maxParallelism"`
	Now              int64            `json:"now"`
	Timestamps       map[string]int64 `json:"timestamps"`
	Vertices         []Vertex         `json:"vertices"`
	StatusCounts     map[string]int   `json:"status-counts"`
	Plan             Plan             `json:"plan"`
	StreamGraph      *struct{}        `json:"stream-graph"`
	PendingOperators int              `json:"pending-operators"`

	Directory  string `json:"checkpoint-directory"`
	Process    int    `json:"process-id"`
	Restarts   int    `json:"restarts"`
	StateBytes int64  `json:"state-bytes"`
	// Watermark is in milliseconds; null without one.
	Watermark  *int64 `json:"watermark"`
	RecordsIn  uint64 `json:"records-in"`
	RecordsOut uint64 `json:"records-out"`
}

// Plan is the job graph.
type Plan struct {
	ID    string     `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"`
	Nodes []struct{} `json:"nodes"`
}

// Vertex is a chain of operators.
type Vertex struct {
	ID               string         `json:"id"`
	SlotSharingGroup string         `json:"slotSharingGroupId"`
	Name             string         `json:"name"`
	MaxParallelism   int            `json:"maxParallelism"`
	Parallelism      int            `json:"parallelism"`
	Status           string         `json:"status"`
	StartTime        int64          `json:"start-time"`
	EndTime          int64          `json:"end-time"`
	Duration         int64          `json:"duration"`
	Tasks            map[string]int `json:"tasks"`
	Metrics          IOMetrics      `json:"metrics"`

	StateBytes int64 `json:"state-bytes"`
}

// IOMetrics are sums over the subtasks of a vertex.
type IOMetrics struct {
	ReadBytes            int64   `json:"read-bytes"`
	ReadBytesComplete    bool    `json:"read-bytes-complete"`
	WriteBytes           int64   `json:"write-bytes"`
	WriteBytesComplete   bool    `json:"write-bytes-complete"`
	ReadRecords          uint64  `json:"read-records"`
	ReadRecordsComplete  bool    `json:"read-records-complete"`
	WriteRecords         uint64  `json:"write-records"`
	WriteRecordsComplete bool    `json:"write-records-complete"`
	Backpressured        int64   `json:"accumulated-backpressured-time"`
	Idle                 int64   `json:"accumulated-idle-time"`
	Busy                 float64 `json:"accumulated-busy-time"`
}

// TriggerSavepoint is the body of POST /jobs/:jobid/savepoints.
type TriggerSavepoint struct {
	TargetDirectory string `json:"target-directory"`
	CancelJob       bool   `json:"cancel-job"`
	FormatType      string `json:"formatType"`
	TriggerID       string `json:"triggerId"`
}

// TriggerStop is the body of POST /jobs/:jobid/stop.
type TriggerStop struct {
	TargetDirectory string `json:"targetDirectory"`
	Drain           bool   `json:"drain"`
	FormatType      string `json:"formatType"`
	TriggerID       string `json:"triggerId"`
}

// TriggerCheckpoint is the body of POST /jobs/:jobid/checkpoints.
type TriggerCheckpoint struct {
	CheckpointType string `json:"checkpointType"`
	TriggerID      string `json:"triggerId"`
}

// DisposeSavepoint is the body of POST /savepoint-disposal.
type DisposeSavepoint struct {
	SavepointPath string `json:"savepoint-path"`
}

// Triggered answers the POST of an operation.
type Triggered struct {
	RequestID string `json:"request-id"`
}

// OperationStatus answers the GET of an operation.
type OperationStatus struct {
	Status    StatusID   `json:"status"`
	Operation *Operation `json:"operation"`
}

// StatusID is IN_PROGRESS or COMPLETED.
type StatusID struct {
	ID string `json:"id"`
}

// Operation is the outcome of an operation: a location, a checkpoint id, a failure, or nothing.
type Operation struct {
	Location     string   `json:"location,omitempty"`
	CheckpointID uint64   `json:"checkpointId,omitempty"`
	Failure      *Cause   `json:"failure-cause,omitempty"`
	FailureCause *Cause   `json:"failureCause,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
}

// Cause is why an operation failed.
type Cause struct {
	Class      string `json:"class"`
	StackTrace string `json:"stack-trace"`
	Serialized string `json:"serialized-throwable"`
}

// CheckpointStatistics answers GET /jobs/:jobid/checkpoints.
type CheckpointStatistics struct {
	Counts  CheckpointCounts   `json:"counts"`
	Summary CheckpointSummary  `json:"summary"`
	Latest  LatestCheckpoints  `json:"latest"`
	History []CheckpointDetail `json:"history"`
}

// CheckpointCounts counts those that are remembered.
type CheckpointCounts struct {
	Restored   int `json:"restored"`
	Total      int `json:"total"`
	InProgress int `json:"in_progress"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
}

// CheckpointSummary sums up the completed ones.
type CheckpointSummary struct {
	CheckpointedSize  Quantiles `json:"checkpointed_size"`
	StateSize         Quantiles `json:"state_size"`
	Duration          Quantiles `json:"end_to_end_duration"`
	AlignmentBuffered Quantiles `json:"alignment_buffered"`
	ProcessedData     Quantiles `json:"processed_data"`
	PersistedData     Quantiles `json:"persisted_data"`
}

// Quantiles describe a distribution.
type Quantiles struct {
	Min  int64   `json:"min"`
	Max  int64   `json:"max"`
	Avg  int64   `json:"avg"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// LatestCheckpoints are the newest of each sort.
type LatestCheckpoints struct {
	Completed *CheckpointDetail `json:"completed"`
	Savepoint *CheckpointDetail `json:"savepoint"`
	Failed    *CheckpointDetail `json:"failed"`
	Restored  *struct{}         `json:"restored"`
}

// CheckpointDetail is one checkpoint.
type CheckpointDetail struct {
	ClassName         string              `json:"className"`
	ID                uint64              `json:"id"`
	Status            string              `json:"status"`
	IsSavepoint       bool                `json:"is_savepoint"`
	SavepointFormat   *string             `json:"savepointFormat"`
	Trigger           int64               `json:"trigger_timestamp"`
	LatestAck         int64               `json:"latest_ack_timestamp"`
	CheckpointedSize  int64               `json:"checkpointed_size"`
	StateSize         int64               `json:"state_size"`
	Duration          int64               `json:"end_to_end_duration"`
	AlignmentBuffered int64               `json:"alignment_buffered"`
	ProcessedData     int64               `json:"processed_data"`
	PersistedData     int64               `json:"persisted_data"`
	Subtasks          int                 `json:"num_subtasks"`
	Acknowledged      int                 `json:"num_acknowledged_subtasks"`
	CheckpointType    string              `json:"checkpoint_type"`
	Tasks             map[string]struct{} `json:"tasks"`
	ExternalPath      string              `json:"external_path,omitempty"`
	Discarded         bool                `json:"discarded"`
	FailureTime       int64               `json:"failure_timestamp,omitempty"`
	FailureMessage    string              `json:"failure_message,omitempty"`
}
