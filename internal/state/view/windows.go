package view

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// The kinds of state of a windowed operator that keeps its state by window, beside the contents
// of folding windows, which look as any map. docs/formats/row.md describes their bytes.
const (
	kindWindows  = "window-row" // of a key
	kindElements = "window-elements"
	kindTriggers = "window-triggers"
	// kindSessions maps the window of a session to the one its contents lie under, which is
	// written like a user key.
	kindSessions = "window-sessions"
	// windowStates begins the names of states of key and window.
	windowStates = "window/"
)

// windowRow is the schema of the row of a key: the number given to an element last.
const windowRow = "(`number` BIGINT NOT NULL)"

// windowBytes is the size of a window in keys.
const windowBytes = 16

// windowKeys reads windows as user keys.
func windowKeys() (userKeys, error) {
	codec, err := types.OrderedKeyOf[struct{ End, Start eventtime.Timestamp }]()
	if err != nil {
		return userKeys{}, err
	}
	return userKeysOf(codec.Schema())
}

// hasWindowStates tells whether the operator keeps its state by window: only then names that
// begin with windowStates are of states of key and window.
func hasWindowStates(o *protocol.OperatorState) bool {
	for _, d := range o.GetDescriptors() {
		if strings.HasPrefix(d.GetKind(), kindWindows) {
			return true
		}
	}
	return false
}

// triggerKey reads the window and the name under which a trigger remembers something.
func triggerKey(windows userKeys, b []byte) (any, error) {
	if len(b) < windowBytes {
		return nil, fmt.Errorf("a key of %d bytes does not begin with a window", len(b))
	}
	window, err := windows.decode(b[:windowBytes])
	if err != nil {
		return nil, err
	}
	return append(window.(Record), Field{"name", readable(b[windowBytes:])}), nil
}

// triggerValue reads what a trigger remembers: whole numbers mostly.
func triggerValue(b []byte) any {
	if len(b) == 8 {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return Octets(append([]byte(nil), b...))
}

// elementTime takes the event time off an element of a window.
func elementTime(b []byte) (Time, []byte, error) {
	if len(b) < 8 {
		return "", nil, fmt.Errorf("an element of %d bytes has no event time", len(b))
	}
	return timeText(int64(binary.LittleEndian.Uint64(b)), 0), b[8:], nil
}

// keyWindow takes the window off the key of a state of key and window.
func keyWindow(key []byte) ([]byte, *Window, error) {
	if len(key) < windowBytes {
		return nil, nil, fmt.Errorf("a key of %d bytes does not end with a window", len(key))
	}
	at := len(key) - windowBytes
	bound := func(b []byte) Time { return timeText(int64(binary.BigEndian.Uint64(b)^1<<63), 0) }
	return key[:at], &Window{Start: bound(key[at+8:]), End: bound(key[at:])}, nil
}
