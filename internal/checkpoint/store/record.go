package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// The kinds of records besides those of checkpoints (meta.KindCheckpoint, meta.KindFinal, and
// meta.KindSavepoint for one with which the job was stopped).
const (
	kindGeneration = "generation" // a master's number
	kindFence      = "fence"      // a number claimed so that no earlier master can use it
	kindSkip       = "skip"       // a number whose checkpoint was aborted
	kindCommitted  = "committed"  // the sinks have committed the checkpoint
)

// Record is an immutable note in the directory of a job name. The name of the file says generation
// or checkpoint number once more. Field names are for ever; unknown ones are ignored.
type Record struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"` // job name, unescaped
	Generation uint64 `json:"generation"`
	// Owner is drawn at random by each master, so that it knows its own records.
	Owner string `json:"owner"`

	// Checkpoint is the number; 0 in a generation record and in the first fence of a name.
	Checkpoint uint64 `json:"checkpoint,omitempty"`

	// JobID is that of the checkpoint; in a generation record the one that the master takes if it
	// does not continue another.
	JobID string `json:"job_id,omitempty"`

	// The rest is there in records of checkpoints only.

	Lineage string `json:"lineage,omitempty"`
	// Path is that of the metadata file, relative to the root; "" for a savepoint.
	Path string `json:"path,omitempty"`
	// URI is that of the directory of a savepoint, which may lie anywhere; else "".
	URI string `json:"uri,omitempty"`
	// Digest is the SHA-256 of the metadata file in hexadecimal, Bytes its length.
	Digest string `json:"digest,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	// Parent is the checkpoint the job had completed, or was restored from, before; 0 for none.
	Parent        uint64 `json:"parent,omitempty"`
	TriggerMillis int64  `json:"trigger_millis,omitempty"`
}

// IsCheckpoint tells whether the record completes a checkpoint, in contrast to a fence or a skip.
func (r *Record) IsCheckpoint() bool {
	return r.Kind == meta.KindCheckpoint || r.Kind == meta.KindFinal || r.IsSavepoint()
}

// IsSavepoint tells whether the record is of a savepoint with which the job was stopped. Its files
// are the user's.
func (r *Record) IsSavepoint() bool { return r.Kind == meta.KindSavepoint }

// isNumbered tells whether the record belongs at a checkpoint number.
func (r *Record) isNumbered() bool {
	return r.IsCheckpoint() || r.Kind == kindFence || r.Kind == kindSkip
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const recordFormat = "leat-record 1 %08x\n"

// encode returns the bytes of the record file. Equal records give equal bytes.
func (r *Record) encode() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	body = append(body, '\n')
	head := fmt.Sprintf(recordFormat, crc32.Checksum(body, castagnoli))
	return append([]byte(head), body...), nil
}

// decodeRecord verifies and reads the bytes of a record file. Errors wrap ErrDamaged.
func decodeRecord(file []byte) (*Record, error) {
	head, body, _ := bytes.Cut(file, []byte("\n"))
	want := fmt.Sprintf(recordFormat, crc32.Checksum(body, castagnoli))
	if string(head)+"\n" != want {
		return nil, fmt.Errorf("%w: first line is %.40q, and %q fits the rest", ErrDamaged, head,
			want[:len(want)-1])
	}
	r := new(Record)
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

func (r *Record) validate() error {
	switch r.Kind {
	case kindGeneration, kindFence, kindSkip, kindCommitted:
		return nil
	case meta.KindCheckpoint, meta.KindFinal, meta.KindSavepoint:
		place := r.Path
		if r.IsSavepoint() {
			place = r.URI
		}
		if r.Checkpoint == 0 || !meta.IsJobID(r.JobID) || r.Lineage == "" ||
			len(r.Digest) != 64 || place == "" {
			return fmt.Errorf("record of checkpoint %d is not complete", r.Checkpoint)
		}
		return nil
	}
	return fmt.Errorf("kind %q is unknown", r.Kind)
}
