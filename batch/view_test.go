package batch

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"github.com/leat-io/leat/types"
)

// Goal: a view is an Arrow StringView of 16 bytes. Method: its memory, by hand, for lengths on
// both sides of 12.
func TestViewLayout(t *testing.T) {
	for _, c := range []struct {
		v    View
		want string
	}{
		{InlineView(nil), "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{MakeView([]byte("twelve bytes"), 9, 9), "\x0c\x00\x00\x00twelve bytes"},
		{MakeView([]byte("abc"), 9, 9), "\x03\x00\x00\x00abc\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{MakeView([]byte("thirteen byte"), 2, 259),
			"\x0d\x00\x00\x00thir\x02\x00\x00\x00\x03\x01\x00\x00"},
	} {
		memory := (*[16]byte)(unsafe.Pointer(&c.v))[:]
		if string(memory) != c.want {
			t.Errorf("view is %q, want %q", memory, c.want)
		}
	}
}

// Goal: views give back their bytes, compare and hash as these do, and damaged ones are seen.
// Method: fuzz two strings in buffers of their own, and sixteen arbitrary bytes as a view.
func FuzzView(f *testing.F) {
	f.Add([]byte("twelve bytes"), []byte("thirteen byte"), []byte("0123456789abcdef"))
	f.Add([]byte("the same prefix"), []byte("the same suffix"), []byte("\x0d\x00\x00\x00then0123"))
	f.Fuzz(func(t *testing.T, a, b, raw []byte) {
		abufs := [][]byte{nil, append([]byte("--"), a...)}
		bbufs := [][]byte{append([]byte("---"), b...)}
		va, vb := MakeView(a, 1, 2), MakeView(b, 0, 3)
		if !bytes.Equal(va.Bytes(abufs), a) || va.String(abufs) != string(a) || va.Len() != len(a) {
			t.Fatalf("%q came back as %q", a, va.Bytes(abufs))
		}
		if va.Hash(abufs) != types.HashBytes(a) || !va.Valid(abufs) {
			t.Fatalf("view of %q has hash %x, valid %t", a, va.Hash(abufs), va.Valid(abufs))
		}
		if EqualViews(&va, abufs, &vb, bbufs) != bytes.Equal(a, b) {
			t.Fatalf("equality of %q and %q", a, b)
		}
		if CompareViews(&va, abufs, &vb, bbufs) != bytes.Compare(a, b) {
			t.Fatalf("order of %q and %q", a, b)
		}
		var v View
		copy((*[16]byte)(unsafe.Pointer(&v))[:], raw)
		if v.Valid(bbufs) {
			again := v
			if !EqualViews(&v, bbufs, &again, bbufs) || len(v.Bytes(bbufs)) != v.Len() {
				t.Fatalf("valid view %q reads as %q", raw, v.Bytes(bbufs))
			}
		}
	})
}

// Goal: views that only differ where a shortcut does not look are told apart. Method: equal
// prefixes, equal lengths, inline and not.
func TestEqualViewsBeyondPrefix(t *testing.T) {
	for _, length := range []int{4, 5, 12, 13, 40} {
		a := []byte(strings.Repeat("x", length))
		for i := range a {
			b := bytes.Clone(a)
			b[i] = 'y'
			va, vb := MakeView(a, 0, 0), MakeView(b, 0, 0)
			if EqualViews(&va, [][]byte{a}, &vb, [][]byte{b}) {
				t.Errorf("%q equals %q", a, b)
			}
		}
	}
}
