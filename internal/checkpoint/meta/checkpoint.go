package meta

import (
	"errors"

	"github.com/leat-io/leat/internal/protocol"
)

// Checkpoint is everything a `_metadata` file says.
type Checkpoint struct {
	// Header is never nil in a decoded or encodable checkpoint.
	Header *protocol.CheckpointHeader
	// Operators are in the order of the file; their ids differ.
	Operators []*protocol.OperatorState
	// Unknown are the sections this build does not know and may ignore, in the order of the file.
	// They are written back behind the operators.
	Unknown []Section
}

// Section is a section of a type this build does not know.
type Section struct {
	Type  uint16
	Flags uint16
	Body  []byte
}

// The kinds a header may have.
const (
	KindCheckpoint = "checkpoint" // taken while the job runs, owned by the engine
	KindFinal      = "final"      // taken after all sources reached the end of their input
	KindSavepoint  = "savepoint"  // owned by the user
)

// What is wrong with bytes that are not a readable checkpoint; test with errors.Is.
var (
	// ErrDamaged: the bytes were truncated, changed, or never were metadata.
	ErrDamaged = errors.New("metadata is damaged")
	// ErrUnsupported: the bytes are whole, but this build is too old to understand them.
	ErrUnsupported = errors.New("metadata is of a newer version")
)

// The layout, see docs/formats/metadata.md.
const (
	magic         = "\x89LEATCK\n"
	formatVersion = 1

	prefixBytes        = 16 // magic, version, zero
	sectionHeaderBytes = 12 // type, flags, length
	checksumBytes      = 4
	endBodyBytes       = 4 + 32

	typeHeader   = 1
	typeOperator = 3
	typeEnd      = 0xFFFF

	flagCritical = 1
)

// Files calls yield with the path of every file the checkpoint refers to, in the order of the
// metadata, with repetitions, until yield returns false. It is an iter.Seq.
func (c *Checkpoint) Files(yield func(path string) bool) {
	for _, operator := range c.Operators {
		for _, subtask := range operator.GetSubtasks() {
			for _, pane := range subtask.GetKeyed().GetPanes() {
				for _, run := range pane.GetRuns() {
					if run.GetFile() != nil && !yield(run.GetFile().GetPath()) {
						return
					}
				}
			}
		}
	}
}
