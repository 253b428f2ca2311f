package stream

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/state/declared"
)

// foldedContents are one accumulator for each window.
type foldedContents[T, A any] struct {
	folding[T, A]
	at     *windowCell
	codec  *declared.Codec[A]
	finish func(w Window, acc *A) error

	acc, other A
	key, value []byte // scratch
}

// load reads the accumulator of a window.
func (f *foldedContents[T, A]) load(state Window, acc *A) (ok bool, err error) {
	f.key = appendWindow(f.key[:0], state)
	value, ok := f.at.table.MapGet(f.at.row, windowContentsMap, f.key)
	if !ok {
		return false, nil
	}
	return true, f.codec.LoadBytes(value, acc)
}

// store writes the accumulator of the window that was loaded last.
func (f *foldedContents[T, A]) store() error {
	f.value = f.codec.Append(f.value[:0], &f.acc)
	return f.at.table.MapPut(f.at.row, windowContentsMap, f.key, f.value)
}

func (f *foldedContents[T, A]) add(state Window, value *T, _ eventtime.Timestamp) error {
	ok, err := f.load(state, &f.acc)
	switch {
	case err != nil:
		return err
	case ok:
		f.folding.add(&f.acc, *value)
	case f.begin != nil:
		f.begin(&f.acc, *value)
	default:
		var zero A
		f.acc = zero
		f.folding.add(&f.acc, *value)
	}
	return f.store()
}

func (f *foldedContents[T, A]) fire(actual, state Window) error {
	ok, err := f.load(state, &f.acc)
	if err != nil || !ok {
		return err
	}
	return f.finish(actual, &f.acc)
}

func (f *foldedContents[T, A]) clear(state Window) error {
	f.key = appendWindow(f.key[:0], state)
	_, err := f.at.table.MapDelete(f.at.row, windowContentsMap, f.key)
	return err
}

func (f *foldedContents[T, A]) merge(state Window, others []Window) error {
	found, err := f.load(state, &f.acc)
	if err != nil {
		return err
	}
	for _, other := range others {
		ok, err := f.load(other, &f.other)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if found {
			f.folding.merge(&f.acc, &f.other)
		} else {
			f.acc, found = f.other, true
		}
		if err := f.clear(other); err != nil {
			return err
		}
	}
	if f.key = appendWindow(f.key[:0], state); !found {
		return nil
	}
	return f.store()
}
