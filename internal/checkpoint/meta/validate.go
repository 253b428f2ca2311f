package meta

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/leat-io/leat/internal/protocol"
)

// validate checks the rules of docs/formats/metadata.md, on writing and on reading.
func validate(c *Checkpoint) error {
	if c == nil || c.Header == nil {
		return errors.New("there is no header")
	}
	if err := validateHeader(c.Header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if c.Header.GetKind() == KindSavepoint {
		for reference := range c.Files {
			if strings.HasPrefix(reference, "../") {
				return fmt.Errorf("file %q lies outside the savepoint", reference)
			}
		}
	}
	ids := make(map[string]string, len(c.Operators))
	for _, operator := range c.Operators {
		if err := validateOperator(operator); err != nil {
			return fmt.Errorf("operator %q: %w", operator.GetUid(), err)
		}
		id := string(operator.GetId())
		if other, ok := ids[id]; ok {
			return fmt.Errorf("operators %q and %q have one id %x", other, operator.GetUid(), id)
		}
		ids[id] = operator.GetUid()
	}
	for _, s := range c.Unknown {
		if s.Type == typeHeader || s.Type == typeOperator || s.Type == typeEnd || s.Flags != 0 {
			return fmt.Errorf("section of type %d with flags %#x is not an unknown one",
				s.Type, s.Flags)
		}
	}
	return nil
}

func validateHeader(h *protocol.CheckpointHeader) error {
	switch {
	case !IsJobID(h.GetJobId()):
		return fmt.Errorf("job id %q is not 32 lower-case hexadecimal digits", h.GetJobId())
	case h.GetJobName() == "":
		return errors.New("job name is empty")
	case h.GetLineage() == "":
		return errors.New("lineage is empty")
	case h.GetCheckpointId() == 0:
		return errors.New("checkpoint id is 0")
	case h.GetGeneration() == 0:
		return errors.New("generation is 0")
	}
	return nil
}

// IsJobID tells whether id has the form of a job id: 32 lower-case hexadecimal digits.
func IsJobID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

func validateOperator(o *protocol.OperatorState) error {
	if len(o.GetId()) != 16 {
		return fmt.Errorf("id %x has %d bytes, not 16", o.GetId(), len(o.GetId()))
	}
	if id := OperatorID(o.GetUid()); o.GetUid() != "" && string(id[:]) != string(o.GetId()) {
		return fmt.Errorf("id %x is not that of the uid, %x", o.GetId(), id)
	}
	if p := o.GetParallelism(); p == 0 || p > o.GetMaxParallelism() {
		return fmt.Errorf("parallelism %d is not in 1..%d", p, o.GetMaxParallelism())
	}
	seen := make(map[uint32]bool, len(o.GetSubtasks()))
	for _, subtask := range o.GetSubtasks() {
		i := subtask.GetSubtask()
		if i >= o.GetParallelism() || seen[i] {
			return fmt.Errorf("subtask %d of %d is out of range or repeated", i, o.GetParallelism())
		}
		seen[i] = true
		if err := validateKeyed(subtask.GetKeyed()); err != nil {
			return fmt.Errorf("subtask %d: %w", i, err)
		}
	}
	return nil
}

func validateKeyed(keyed *protocol.KeyedState) error {
	for _, pane := range keyed.GetPanes() {
		for i, run := range pane.GetRuns() {
			if err := validateRun(run); err != nil {
				return fmt.Errorf("table %d, pane %d, run %d: %w",
					pane.GetTable(), pane.GetPane(), i, err)
			}
		}
	}
	return nil
}

func validateRun(run *protocol.Run) error {
	if run.GetHashLo() > run.GetHashHi() {
		return fmt.Errorf("hash range %08x to %08x is empty", run.GetHashLo(), run.GetHashHi())
	}
	file := run.GetFile()
	if (file == nil) == (len(run.GetInline()) == 0) {
		return errors.New("either a file or inline bytes must be given")
	}
	if file == nil {
		return nil
	}
	if err := CheckReference(file.GetPath()); err != nil {
		return err
	}
	offset, length, size := run.GetOffset(), run.GetLength(), file.GetSize()
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return fmt.Errorf("%d bytes from %d do not lie in file %q of %d bytes",
			length, offset, file.GetPath(), size)
	}
	if len(run.GetDigest()) != sha256.Size {
		return fmt.Errorf("digest in file %q has %d bytes, not %d",
			file.GetPath(), len(run.GetDigest()), sha256.Size)
	}
	return nil
}

// CheckReference returns an error unless p has the form of a reference to a file: relative to the
// directory of the metadata, clean, and at most one ".." in front.
func CheckReference(p string) error {
	inside := strings.TrimPrefix(p, "../")
	if inside == "" || path.Clean(inside) != inside || inside[0] == '/' || inside == "." ||
		inside == ".." || strings.HasPrefix(inside, "../") || strings.IndexByte(p, 0) >= 0 {
		return fmt.Errorf("path %q is not a clean reference relative to the metadata", p)
	}
	return nil
}
