package types

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
)

// KeyCodec turns keys of the Go type K into hashes and canonical bytes. All methods may be called
// from any goroutine and allocate nothing in the steady state, except FromBytes, which copies
// strings.
//
// A key whose parts are one or two numbers has a canonical form of as many words; any other has
// one of bytes:
//
//   - a word holds an integer, bool (0 or 1) or Timestamp widened to 64 bits, or the bits of a
//     float widened to 64 bits, -0 as 0 and every NaN as one;
//   - the bytes of a string or byte array are the octets themselves;
//   - the bytes of a composite are its parts one after the other, nested ones in place: numbers
//     as words of 8 bytes, strings and byte arrays as their length in 4 bytes and the octets, all
//     little endian.
//
// A composite of one part is that part. Integer widths do not matter: int32 5 and int64 5 have
// the same words and hash.
type KeyCodec[K any] struct {
	root  keyPart
	parts []keyPart // the numbers and strings in root, depth first, offsets from the start of K
	words int
}

// KeyOf returns the codec of K: bool, integers, floats, string, byte arrays, and structs and
// arrays of these. Blank fields do not count. Floats are allowed but rarely wise as keys: -0
// equals 0 and every NaN equals every other. The error names the type and the cure.
func KeyOf[K any]() (*KeyCodec[K], error) {
	t := reflect.TypeFor[K]()
	root, err := keyPartOf(t, t, "")
	if err != nil {
		return nil, err
	}
	c := &KeyCodec[K]{root: root, parts: root.flatten(nil, 0)}
	if n := len(c.parts); n == 1 || n == 2 {
		c.words = n
	}
	for i := range c.parts {
		if !c.parts[i].kind.isNumber() {
			c.words = 0
		}
	}
	return c, nil
}

// Words returns the size of the canonical form in 8-byte words, 1 or 2, or 0 when it is bytes.
func (c *KeyCodec[K]) Words() int { return c.words }

// Hash returns the hash (hash id 1) of k.
func (c *KeyCodec[K]) Hash(k K) uint64 { return c.root.hash(unsafe.Pointer(&k)) }

// HashAll appends the hash (hash id 1) of every key to dst.
func (c *KeyCodec[K]) HashAll(dst []uint64, keys []K) []uint64 {
	if len(keys) == 0 {
		return dst
	}
	old := len(dst)
	dst = slices.Grow(dst, len(keys))[:old+len(keys)]
	to := dst[old:]
	base := unsafe.Pointer(unsafe.SliceData(keys))
	var k K
	// When the part fills all of K, the keys are a run of numbers or strings.
	if c.root.size == unsafe.Sizeof(k) && hashNumbers(to, base, c.root.kind) {
		return dst
	}
	hashRun(to, base, unsafe.Sizeof(k), &c.root)
	return dst
}

// AppendWords appends the words of every key to dst, Words of them for each. Words must not be 0.
func (c *KeyCodec[K]) AppendWords(dst []uint64, keys []K) []uint64 {
	if c.words == 0 {
		invariant.Fail("key of type %s has no words", reflect.TypeFor[K]())
	}
	var k K
	if c.words == 1 && unsafe.Sizeof(k) == 8 && c.root.kind.isWord() {
		return append(dst, unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(keys))),
			len(keys))...)
	}
	for i := range keys {
		base := unsafe.Pointer(&keys[i])
		for j := range c.parts {
			dst = append(dst, c.parts[j].word(base))
		}
	}
	return dst
}

// Bytes returns the canonical bytes of k when Words is 0. The result aliases the bytes of a
// string key, else scratch, grown when it is too small; do not write to it.
func (c *KeyCodec[K]) Bytes(k K, scratch []byte) []byte {
	base := unsafe.Pointer(&k)
	if len(c.parts) == 1 {
		p := &c.parts[0]
		switch p.kind {
		case stringPart:
			s := *(*string)(unsafe.Add(base, p.offset))
			return unsafe.Slice(unsafe.StringData(s), len(s))
		case octetsPart:
			return append(scratch[:0], p.octets(base)...)
		}
	}
	if c.words != 0 {
		invariant.Fail("key of type %s has words, not bytes", reflect.TypeFor[K]())
	}
	return appendParts(scratch[:0], c.parts, base)
}

// FromWords returns the key with the given words. Words must not be 0.
func (c *KeyCodec[K]) FromWords(w []uint64) K {
	if c.words == 0 || len(w) < c.words {
		invariant.Fail(
			"key of type %s from %d words, want %d",
			reflect.TypeFor[K](),
			len(w),
			c.words,
		)
	}
	var k K
	for i := range c.parts {
		c.parts[i].setWord(unsafe.Pointer(&k), w[i])
	}
	return k
}

// FromBytes returns the key with the given canonical bytes, copying strings. Words must be 0. It
// panics on bytes that no key has.
func (c *KeyCodec[K]) FromBytes(b []byte) K {
	var k K
	if c.words != 0 || !c.setBytes(unsafe.Pointer(&k), b) {
		invariant.Fail("key of type %s from bytes %x", reflect.TypeFor[K](), b)
	}
	return k
}

// setBytes sets the key at base and reports whether b is canonical.
func (c *KeyCodec[K]) setBytes(base unsafe.Pointer, b []byte) bool {
	if len(c.parts) == 1 {
		return c.parts[0].setOctets(base, b)
	}
	for i := range c.parts {
		p := &c.parts[i]
		var ok bool
		if b, ok = p.consume(base, b); !ok {
			return false
		}
	}
	return len(b) == 0
}

// DescribeKey returns the form of the keys of a Go type as text, by structure and never by name:
// equal texts mean keys that can be told apart and decoded alike. A type that [StructOf] maps has
// the text of its schema; arrays, which it does not map, are written as ARRAY<length, element>.
func DescribeKey(t reflect.Type) string {
	if s, err := StructOfType(t); err == nil {
		return s.Schema.Describe()
	}
	switch t.Kind() {
	case reflect.Array:
		return fmt.Sprintf("ARRAY<%d, %s>", t.Len(), DescribeKey(t.Elem()))
	case reflect.Struct:
		parts := make([]string, t.NumField())
		for i := range parts {
			parts[i] = DescribeKey(t.Field(i).Type)
		}
		return "ROW<" + strings.Join(parts, ", ") + ">"
	}
	return strings.ToUpper(t.Kind().String())
}
