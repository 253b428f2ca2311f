package backend

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: the bytes are those of docs/formats/row.md. Method: a row with two slots, listed in
// descending order, against bytes written by hand.
func TestAppendValueBytes(t *testing.T) {
	layout := RowLayout{KeyWords: 1, FixedBytes: 24, VarSlots: []int{16, 0}}
	fixed := append(bytes.Repeat([]byte{0xaa}, 8), 1, 2, 3, 4, 5, 6, 7, 8)
	fixed = append(fixed, bytes.Repeat([]byte{0xbb}, 8)...)
	vars := [][]byte{[]byte("xyz"), []byte("q")}
	got := AppendValue([]byte{9}, layout, fixed, func(slot int) []byte { return vars[slot] })
	want := []byte{9,
		1, 0, 0, 0, 0, 0, 0, 0,
		1, 2, 3, 4, 5, 6, 7, 8,
		3, 0, 0, 0, 0, 0, 0, 0,
		'x', 'y', 'z', 'q'}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	gotFixed, gotVars, err := SplitValue(layout, got[1:])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:25], gotFixed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(vars, gotVars); diff != "" {
		t.Error(diff)
	}
}

// Goal: collections added to a layout or taken from it leave the serial form of rows alone.
// Method: the same row under layouts that differ in the collections at the end; one before the
// end stays, as zeros.
func TestAppendValueCollections(t *testing.T) {
	at := func(fixedBytes int, slots ...int) RowLayout {
		l := RowLayout{KeyWords: 1, FixedBytes: fixedBytes, VarSlots: []int{16}}
		for _, slot := range slots {
			l.Collections = append(l.Collections, CollectionLayout{Kind: List, Slot: slot})
		}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		return l
	}
	fixed := bytes.Repeat([]byte{0xaa}, 48)
	value := func(int) []byte { return []byte("xyz") }
	want := AppendValue(nil, at(24, 8), fixed[:24], value)
	if !bytes.Equal(want[8:16], make([]byte, 8)) || want[0] != 0xaa {
		t.Errorf("bytes %x", want)
	}
	for _, l := range []RowLayout{at(32, 8, 24), at(48, 8, 40, 24, 32)} {
		got := AppendValue(nil, l, fixed[:l.FixedBytes], value)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", l, diff)
		}
		part, vars, err := SplitValue(l, got)
		if err != nil || len(part) != 24 || string(vars[0]) != "xyz" {
			t.Errorf("%v: split into %x, %q: %v", l, part, vars, err)
		}
	}
}

// Goal: damaged values are refused, each with its reason. Method: table of damages.
func TestSplitValueRefuses(t *testing.T) {
	layout := RowLayout{FixedBytes: 8, VarSlots: []int{0}}
	for name, test := range map[string]struct {
		value []byte
		want  string
	}{
		"short":        {[]byte{1, 0, 0}, "want at least the fixed part of 8"},
		"missing":      {[]byte{2, 0, 0, 0, 0, 0, 0, 0, 'a'}, "slot 0 says 2 bytes, 1 are left"},
		"surplus":      {[]byte{0, 0, 0, 0, 0, 0, 0, 0, 'a'}, "1 bytes after the last slot"},
		"upper length": {[]byte{0, 0, 0, 0, 1, 0, 0, 0}, "slot 0 says 4294967296 bytes"},
	} {
		if _, _, err := SplitValue(layout, test.value); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}

// Goal: no layout outside the documented bounds is accepted. Method: one fault each.
func TestLayoutValidate(t *testing.T) {
	good := RowLayout{KeyWords: 2, FixedBytes: 24, VarSlots: []int{16, 0}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []RowLayout{
		{KeyWords: 3}, {KeyWords: -1}, {FixedBytes: 4}, {FixedBytes: MaxFixedBytes + 8},
		{FixedBytes: -8}, {FixedBytes: 8, VarSlots: []int{8}}, {FixedBytes: 16, VarSlots: []int{4}},
		{FixedBytes: 8, VarSlots: []int{-8}}, {FixedBytes: 16, VarSlots: []int{8, 8}},
	} {
		if err := bad.Validate(); err == nil {
			t.Errorf("layout %+v was accepted", bad)
		}
	}
}

// Goal: any bytes are either refused or the exact serial form of what they split into.
// Method: fuzz value and slots, append again, compare.
func FuzzSplitValue(f *testing.F) {
	f.Add(uint8(1), []byte{1, 0, 0, 0, 0, 0, 0, 0, 'a'})
	f.Add(uint8(3), []byte{0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'})
	f.Add(uint8(0), []byte{})
	f.Fuzz(func(t *testing.T, slots uint8, value []byte) {
		layout := RowLayout{FixedBytes: int(slots%5) * 8}
		for i := range int(slots % 5) {
			if slots>>(3+i)&1 == 0 {
				layout.VarSlots = append(layout.VarSlots, i*8)
			}
		}
		fixed, vars, err := SplitValue(layout, value)
		if err != nil {
			return
		}
		again := AppendValue(nil, layout, fixed, func(slot int) []byte { return vars[slot] })
		if !bytes.Equal(again, value) {
			t.Fatalf("layout %+v: %x became %x", layout, value, again)
		}
	})
}
