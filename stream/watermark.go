package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// watermarkState is the name of the union state that keeps the watermark of an operator.
const watermarkState = "watermark"

// inputWatermark is the watermark an operator has seen. It is part of the checkpoint, so that
// a record behind it is late after a restore as it was before: every subtask gets the
// watermarks of all and takes the smallest.
type inputWatermark struct {
	current eventtime.Timestamp
}

func (w *inputWatermark) restore(restored operator.Restored) error {
	w.current = eventtime.None
	found := eventtime.Max
	any := false
	for _, list := range restored.List {
		if list.Name != watermarkState || list.Schema != "" {
			continue
		}
		for _, b := range list.Elements {
			if len(b) != 8 {
				return fault.Internal(fmt.Errorf("restore watermark of %d bytes", len(b)))
			}
			found = min(found, eventtime.Timestamp(binary.LittleEndian.Uint64(b)))
			any = true
		}
	}
	if any {
		w.current = found
	}
	return nil
}

func (w *inputWatermark) snapshot() operator.State {
	b := binary.LittleEndian.AppendUint64(nil, uint64(w.current))
	return operator.State{List: []*protocol.NamedState{{
		Name: watermarkState, Version: 1, Elements: [][]byte{b}, Union: true,
	}}}
}
