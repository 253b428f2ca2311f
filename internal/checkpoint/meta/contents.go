package meta

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/protocol"
)

// ContentsJSON returns the JSON twin of a checkpoint's metadata, for people and scripts: indented,
// keys in a fixed order, ids and digests in hexadecimal, opaque bytes by their size only. The
// engine never reads it. Equal checkpoints give equal bytes.
func ContentsJSON(c *Checkpoint) ([]byte, error) {
	if err := validate(c); err != nil {
		return nil, fmt.Errorf("meta: write contents: %w", err)
	}
	twin := contents{Format: formatVersion, Header: headerContents(c.Header)}
	twin.Operators = make([]operatorTwin, 0, len(c.Operators))
	for _, operator := range c.Operators {
		twin.Operators = append(twin.Operators, operatorContents(operator))
		twin.StateBytes += twin.Operators[len(twin.Operators)-1].StateBytes
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(twin); err != nil {
		return nil, fmt.Errorf("meta: write contents: %w", err)
	}
	return out.Bytes(), nil
}

type contents struct {
	Format     int            `json:"format"`
	Header     headerTwin     `json:"header"`
	StateBytes int64          `json:"state_bytes"`
	Operators  []operatorTwin `json:"operators"`
}

type headerTwin struct {
	JobID         string `json:"job_id"`
	JobName       string `json:"job_name"`
	Lineage       string `json:"lineage"`
	CheckpointID  uint64 `json:"checkpoint_id"`
	Generation    uint64 `json:"generation"`
	Kind          string `json:"kind"`
	TriggerMillis int64  `json:"trigger_millis"`
	TriggerTime   string `json:"trigger_time"`
	EngineVersion string `json:"engine_version"`
	Origin        string `json:"origin"`
	GraphDigest   string `json:"graph_digest"`
	Watermark     int64  `json:"watermark"`
	Stop          bool   `json:"stop,omitempty"`
	Drained       bool   `json:"drained,omitempty"`
	Periodic      bool   `json:"periodic,omitempty"`
	Claimed       string `json:"claimed,omitempty"`
}

type operatorTwin struct {
	UID              string        `json:"uid"`
	ID               string        `json:"id"`
	Name             string        `json:"name"`
	Parallelism      uint32        `json:"parallelism"`
	MaxParallelism   uint32        `json:"max_parallelism"`
	StateBytes       int64         `json:"state_bytes"`
	States           []stateTwin   `json:"states,omitempty"`
	Subtasks         []subtaskTwin `json:"subtasks,omitempty"`
	CoordinatorBytes int64         `json:"coordinator_bytes,omitempty"`
}

type stateTwin struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	KeySchema   string `json:"key_schema"`
	ValueSchema string `json:"value_schema"`
	Table       uint32 `json:"table"`
	Bytes       int64  `json:"bytes"`
	Rows        int64  `json:"rows"` // of all runs: a key changed twice counts twice
}

type subtaskTwin struct {
	Subtask      uint32     `json:"subtask"`
	HashLo       string     `json:"hash_lo,omitempty"`
	HashHi       string     `json:"hash_hi,omitempty"`
	Runs         []runTwin  `json:"runs,omitempty"`
	Lists        []listTwin `json:"lists,omitempty"`
	Committables int        `json:"committables,omitempty"`
}

type runTwin struct {
	Table  uint32 `json:"table"`
	Pane   int64  `json:"pane"`
	File   string `json:"file,omitempty"` // absent: inline
	Offset int64  `json:"offset,omitempty"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest,omitempty"`
	HashLo string `json:"hash_lo"`
	HashHi string `json:"hash_hi"`
	UpTo   uint64 `json:"up_to"`
	Base   bool   `json:"base,omitempty"`
	Rows   int64  `json:"rows"`
	Format uint32 `json:"format"`
}

type listTwin struct {
	Name     string `json:"name"`
	Elements int    `json:"elements"`
	Bytes    int64  `json:"bytes"`
	Union    bool   `json:"union,omitempty"`
}

func headerContents(h *protocol.CheckpointHeader) headerTwin {
	return headerTwin{
		JobID:         h.GetJobId(),
		JobName:       h.GetJobName(),
		Lineage:       h.GetLineage(),
		CheckpointID:  h.GetCheckpointId(),
		Generation:    h.GetGeneration(),
		Kind:          h.GetKind(),
		TriggerMillis: h.GetTriggerMillis(),
		TriggerTime:   time.UnixMilli(h.GetTriggerMillis()).UTC().Format(time.RFC3339Nano),
		EngineVersion: h.GetEngineVersion(),
		Origin:        h.GetOrigin(),
		GraphDigest:   hex.EncodeToString(h.GetGraphDigest()),
		Watermark:     h.GetWatermark(),
		Stop:          h.GetStop(),
		Drained:       h.GetDrained(),
		Periodic:      h.GetPeriodic(),
		Claimed:       h.GetClaimed(),
	}
}

func operatorContents(o *protocol.OperatorState) operatorTwin {
	twin := operatorTwin{
		UID:              o.GetUid(),
		ID:               hex.EncodeToString(o.GetId()),
		Name:             o.GetName(),
		Parallelism:      o.GetParallelism(),
		MaxParallelism:   o.GetMaxParallelism(),
		CoordinatorBytes: listContents(o.GetCoordinator()).Bytes,
	}
	twin.StateBytes = twin.CoordinatorBytes
	bytesOf, rowsOf := map[uint32]int64{}, map[uint32]int64{}
	for _, subtask := range o.GetSubtasks() {
		s := subtaskContents(subtask)
		for _, run := range s.Runs {
			bytesOf[run.Table] += run.Bytes
			rowsOf[run.Table] += run.Rows
			twin.StateBytes += run.Bytes
		}
		for _, list := range s.Lists {
			twin.StateBytes += list.Bytes
		}
		twin.Subtasks = append(twin.Subtasks, s)
	}
	counted := map[uint32]bool{}
	for _, d := range o.GetDescriptors() {
		state := stateTwin{Name: d.GetName(), Kind: d.GetKind(), KeySchema: d.GetKeySchema(),
			ValueSchema: d.GetValueSchema(), Table: d.GetTable()}
		// States of one table share its rows; only the first of them shows their size.
		if !counted[d.GetTable()] {
			state.Bytes, state.Rows = bytesOf[d.GetTable()], rowsOf[d.GetTable()]
			counted[d.GetTable()] = true
		}
		twin.States = append(twin.States, state)
	}
	return twin
}

func subtaskContents(s *protocol.OperatorSubtaskState) subtaskTwin {
	twin := subtaskTwin{Subtask: s.GetSubtask(), Committables: len(s.GetCommittables())}
	if keyed := s.GetKeyed(); keyed != nil {
		twin.HashLo, twin.HashHi = hashText(keyed.GetHashLo()), hashText(keyed.GetHashHi())
		for _, pane := range keyed.GetPanes() {
			for _, run := range pane.GetRuns() {
				twin.Runs = append(twin.Runs, runContents(pane, run))
			}
		}
	}
	for _, list := range s.GetList() {
		twin.Lists = append(twin.Lists, listContents(list))
	}
	return twin
}

func runContents(pane *protocol.PaneRuns, run *protocol.Run) runTwin {
	twin := runTwin{
		Table:  pane.GetTable(),
		Pane:   pane.GetPane(),
		File:   run.GetFile().GetPath(),
		Offset: run.GetOffset(),
		Bytes:  run.GetLength(),
		Digest: hex.EncodeToString(run.GetDigest()),
		HashLo: hashText(run.GetHashLo()),
		HashHi: hashText(run.GetHashHi()),
		UpTo:   run.GetUpTo(),
		Base:   run.GetBase(),
		Rows:   run.GetRows(),
		Format: run.GetFormat(),
	}
	if run.GetFile() == nil {
		twin.Bytes = int64(len(run.GetInline()))
	}
	return twin
}

func listContents(s *protocol.NamedState) listTwin {
	twin := listTwin{Name: s.GetName(), Elements: len(s.GetElements()), Union: s.GetUnion()}
	for _, element := range s.GetElements() {
		twin.Bytes += int64(len(element))
	}
	return twin
}

func hashText(hash uint32) string { return fmt.Sprintf("%08x", hash) }
