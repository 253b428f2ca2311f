package ordered

import (
	"encoding/binary"
	"testing"

	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
)

// fuzzRows makes a slot for every owner.
type fuzzRows map[string]*uint64

func (f fuzzRows) Slot(o Owner) (*uint64, error) {
	name := string(binary.BigEndian.AppendUint32(nil, o.Hash)) + string(o.Key)
	if f[name] == nil {
		f[name] = new(uint64)
	}
	return f[name], nil
}

// Goal: no entry of a run breaks a store: it is refused, or it can be read, changed and
// written again. Method: entries cut from arbitrary bytes.
func FuzzRestore(f *testing.F) {
	block := backend.AppendElement(backend.AppendElement(nil, []byte("abc")), nil)
	number := backend.AppendBlockNumber(nil, 3)
	entryKey := backend.AppendEntryKey(nil, 0, []byte("key"), number)
	seed := append([]byte{0, 1, byte(len(entryKey))}, entryKey...)
	seed = append(append(seed, byte(len(block))), block...)
	f.Add(seed)
	f.Add([]byte{4, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 7, 7, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0})
	f.Add([]byte{1, 7, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0x80, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		kind := backend.OrderedMap
		if input[0]%2 == 0 {
			kind = backend.List
		}
		rows := fuzzRows{}
		s := New(Options{Kind: kind, KeyWords: int(input[0]) / 2 % 3,
			Versions: &version.Versions{Current: 1}, Shared: NewShared(tiny), Rows: rows})
		for rest := input[1:]; len(rest) > 0; {
			var e backend.Entry
			e.Hash, rest = uint32(rest[0]), rest[1:]
			e.Key, rest = cut(rest)
			e.Value, rest = cut(rest)
			_ = s.Restore(e)
		}
		s.EndRestore()
		for _, slot := range rows {
			use(t, s, kind, slot)
		}
		s.versions.Image, s.versions.Current = 1, 2
		s.Begin(true)
		for done := false; !done; {
			_, done, _ = s.Step(1000)
		}
		most, _, open := s.Result()
		it, n := open(), 0
		for e, ok := it.Next(); ok; e, ok = it.Next() {
			if _, _, err := backend.SplitEntryKey(s.keyWords, e.Key); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != most {
			t.Errorf("%d entries, %d were said", n, most)
		}
		s.Release()
		for _, slot := range rows {
			s.Clear(slot)
		}
		s.Discard()
	})
}

// cut takes a string led by a byte of length.
func cut(rest []byte) (piece, _ []byte) {
	if len(rest) == 0 {
		return nil, nil
	}
	n := min(int(rest[0]), len(rest)-1)
	return rest[1 : 1+n], rest[1+n:]
}

// use counts the elements of a collection, and adds one.
func use(t *testing.T, s *Store, kind backend.CollectionKind, slot *uint64) {
	n := 0
	if kind == backend.List {
		s.ScanList(*slot, func([]byte) bool {
			n++
			return true
		})
	} else {
		s.Scan(*slot, nil, nil, func(key, value []byte) bool {
			if got, ok := s.Get(*slot, key); !ok || string(got) != string(value) {
				t.Fatalf("entry %x is not found", key)
			}
			n++
			return true
		})
	}
	if got := s.Elements(*slot); got != n {
		t.Fatalf("says %d elements, has %d", got, n)
	}
	var err error
	if kind == backend.List {
		err = s.Append(slot, Owner{Key: make([]byte, 8*s.keyWords)}, []byte("element"))
	} else {
		err = s.Put(slot, Owner{Key: make([]byte, 8*s.keyWords)}, []byte("k"), []byte("v"))
	}
	if err != nil {
		t.Fatal(err)
	}
}
