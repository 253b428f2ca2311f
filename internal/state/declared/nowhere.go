package declared

import (
	"errors"
	"unsafe"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/state/backend"
)

// Leave makes the cursor speak of no row: handles that are used all the same find nothing, change
// nothing, and leave ErrNoKey in Err.
func (c *Cursor) Leave() { c.Table, c.Row = nowhere{c.of}, 0 }

// ErrNoKey is what using a state handle outside of the handling of a record ends in.
var ErrNoKey = fault.User(errors.New("state: a state handle is used while there is no current " +
	"key: use it in the call that handles a record or timer, and where records have no key, in " +
	"the function given to ApplyToKeyedState; not in Open, Snapshot or Close, and not from " +
	"another goroutine"))

// nowhere is the table of a cursor that speaks of no row.
type nowhere struct{ of *States }

func (n nowhere) refuse() error {
	n.of.FailRead(ErrNoKey)
	return ErrNoKey
}

// Fixed returns a row that nobody else sees.
func (n nowhere) Fixed(backend.Row) unsafe.Pointer {
	_ = n.refuse()
	words := 1 + n.of.fixed/8 + len(n.of.collections)
	return unsafe.Pointer(unsafe.SliceData(make([]uint64, words)))
}

func (n nowhere) Resolve(
	backend.Keys, backend.Mode, []backend.Row, []int32,
) ([]int32, error) {
	return nil, n.refuse()
}

func (n nowhere) Change(backend.Row) error { return n.refuse() }

func (n nowhere) Value(backend.Row, int) []byte {
	_ = n.refuse()
	return nil
}

func (n nowhere) SetValue(backend.Row, int, []byte) error { return n.refuse() }

func (n nowhere) Delete(backend.Row) error { return n.refuse() }

func (n nowhere) Key(backend.Row) ([]uint64, []byte) {
	_ = n.refuse()
	return nil, nil
}

func (n nowhere) Hash(backend.Row) uint32 {
	_ = n.refuse()
	return 0
}

func (n nowhere) Scan(func(backend.Row) bool) { _ = n.refuse() }

func (n nowhere) Len() int {
	_ = n.refuse()
	return 0
}

func (n nowhere) MapGet(backend.Row, int, []byte) ([]byte, bool) {
	return nil, n.refuse() == nil
}

func (n nowhere) MapPut(backend.Row, int, []byte, []byte) error { return n.refuse() }

func (n nowhere) MapDelete(backend.Row, int, []byte) (bool, error) { return false, n.refuse() }

func (n nowhere) MapScan(
	backend.Row, int, []byte, []byte, func(userKey, value []byte) bool,
) {
	_ = n.refuse()
}

func (n nowhere) MapScanBack(
	backend.Row, int, []byte, []byte, func(userKey, value []byte) bool,
) {
	_ = n.refuse()
}

func (n nowhere) ListAppend(backend.Row, int, []byte) error { return n.refuse() }

func (n nowhere) ListScan(backend.Row, int, func(element []byte) bool) { _ = n.refuse() }

func (n nowhere) Elements(backend.Row, int) int {
	_ = n.refuse()
	return 0
}

func (n nowhere) Clear(backend.Row, int) error { return n.refuse() }

var _ backend.Table = nowhere{}
