package types

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"github.com/leat-io/leat/eventtime"
)

// OrderedCodec turns keys of the Go type K into bytes whose order, as that of unsigned bytes,
// is the order of the keys, and back. All methods may be called from any goroutine; Append
// allocates nothing but room in dst.
//
// Numbers and Timestamps are ordered by value (-0 is 0, and NaN, all of them one, comes last),
// false before true, strings, []byte and byte arrays as bytes, structs and arrays by their
// first part that differs, null before everything. The bytes of a key end where the key ends:
// others may follow. docs/formats/ordered.md describes them.
type OrderedCodec[K any] struct {
	parts  []orderedPart
	schema string
}

// OrderedKeyOf returns the codec of K: bool, integers, floats, string, []byte, byte arrays,
// eventtime.Timestamp, [Null] of these, and structs and arrays of all of these. Blank fields do
// not count. The error names type, field and cure.
func OrderedKeyOf[K any]() (*OrderedCodec[K], error) {
	t := reflect.TypeFor[K]()
	b := orderedBuilder{key: t}
	root := b.add(t, orderedPlace{})
	if len(b.parts) > maxOrderedParts {
		b.fault("", fmt.Sprintf("it has %d parts, at most %d are possible",
			len(b.parts), maxOrderedParts), "use a string or byte array")
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, err
	}
	return &OrderedCodec[K]{parts: b.parts, schema: root.schema()}, nil
}

// Schema returns the text from which [ParseOrdered] makes a decoder: columns in SQL spelling,
// with the types BIGINT UNSIGNED, BINARY(length) and ARRAY<length, type> beside those of
// [Type]. Equal texts mean equal bytes of equal keys.
func (c *OrderedCodec[K]) Schema() string { return c.schema }

// Append appends the bytes of k to dst.
func (c *OrderedCodec[K]) Append(dst []byte, k K) []byte {
	base := unsafe.Pointer(&k)
	for i := range c.parts {
		dst = c.parts[i].append(dst, base)
	}
	return dst
}

// Decode takes the key that b starts with off it, copying its bytes. The error says what is
// wrong with bytes that Append does not make.
func (c *OrderedCodec[K]) Decode(b []byte) (k K, rest []byte, err error) {
	rest = b
	for i := range c.parts {
		if rest, err = c.parts[i].decode(rest, unsafe.Pointer(&k)); err != nil {
			var none K
			return none, nil, fmt.Errorf("decode ordered key of type %s from %x: %w",
				reflect.TypeFor[K](), b, err)
		}
	}
	return k, rest, nil
}

// maxOrderedParts bounds the parts of a key, which arrays multiply.
const maxOrderedParts = 4096

// orderedPart is a number or a string within a key.
type orderedPart struct {
	kind       orderedKind
	goKind     reflect.Kind
	width      int     // of a number or BINARY, in bytes
	offset     uintptr // from the start of the key
	nullable   bool
	nullOffset uintptr // of Null.Valid
}

// Bytes that lead a nullable part, and those within strings.
const (
	orderedNull  = 0
	orderedValue = 1

	// A zero of a string is escaped, since one that is not ends it.
	orderedEscape = 0
	orderedZero   = 0xff
	orderedEnd    = 1
)

func (p *orderedPart) append(dst []byte, base unsafe.Pointer) []byte {
	if p.nullable {
		if !*(*bool)(unsafe.Add(base, p.nullOffset)) {
			return append(dst, orderedNull)
		}
		dst = append(dst, orderedValue)
	}
	at := unsafe.Add(base, p.offset)
	switch p.kind {
	case orderedString:
		s := *(*string)(at)
		return appendEscaped(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
	case orderedBytes:
		return appendEscaped(dst, *(*[]byte)(at))
	case orderedBinary:
		return append(dst, unsafe.Slice((*byte)(at), p.width)...)
	}
	return appendWidth(dst, p.load(at), p.width)
}

// load returns the number at a place as bits whose unsigned order is the order of the numbers.
func (p *orderedPart) load(at unsafe.Pointer) uint64 {
	switch p.goKind {
	case reflect.Bool, reflect.Uint8:
		return p.shift(int64(*(*uint8)(at)))
	case reflect.Int8:
		return p.shift(int64(*(*int8)(at)))
	case reflect.Int16:
		return p.shift(int64(*(*int16)(at)))
	case reflect.Uint16:
		return p.shift(int64(*(*uint16)(at)))
	case reflect.Int32:
		return p.shift(int64(*(*int32)(at)))
	case reflect.Uint32:
		return p.shift(int64(*(*uint32)(at)))
	case reflect.Int:
		return p.shift(int64(*(*int)(at)))
	case reflect.Uint:
		return uint64(*(*uint)(at))
	case reflect.Uintptr:
		return uint64(*(*uintptr)(at))
	case reflect.Uint64:
		return *(*uint64)(at)
	case reflect.Float32:
		return uint64(orderFloat32(*(*float32)(at)))
	case reflect.Float64:
		return orderFloat64(*(*float64)(at))
	}
	return p.shift(*(*int64)(at))
}

// shift moves the integers of a column so that its lowest is 0.
func (p *orderedPart) shift(v int64) uint64 {
	if p.kind == orderedBool {
		return uint64(v)
	}
	return uint64(v) + 1<<(8*p.width-1)
}

// store is the inverse of load; it reports whether the Go type has the number.
func (p *orderedPart) store(at unsafe.Pointer, u uint64) bool {
	v := int64(u) - 1<<(8*p.width-1)
	switch p.goKind {
	case reflect.Bool:
		*(*bool)(at) = u != 0
		return u <= 1
	case reflect.Uint8:
		*(*uint8)(at) = uint8(v)
		return v == int64(uint8(v))
	case reflect.Int8:
		*(*int8)(at) = int8(v)
	case reflect.Int16:
		*(*int16)(at) = int16(v)
	case reflect.Uint16:
		*(*uint16)(at) = uint16(v)
		return v == int64(uint16(v))
	case reflect.Int32:
		*(*int32)(at) = int32(v)
	case reflect.Uint32:
		*(*uint32)(at) = uint32(v)
		return v == int64(uint32(v))
	case reflect.Int:
		*(*int)(at) = int(v)
		return v == int64(int(v))
	case reflect.Uint:
		*(*uint)(at) = uint(u)
		return u == uint64(uint(u))
	case reflect.Uintptr:
		*(*uintptr)(at) = uintptr(u)
		return u == uint64(uintptr(u))
	case reflect.Uint64:
		*(*uint64)(at) = u
	case reflect.Float32:
		f := floatOfOrder32(uint32(u))
		*(*float32)(at) = f
		return orderFloat32(f) == uint32(u)
	case reflect.Float64:
		f := floatOfOrder64(u)
		*(*float64)(at) = f
		return orderFloat64(f) == u
	default:
		*(*int64)(at) = v
	}
	return true
}

func (p *orderedPart) decode(b []byte, base unsafe.Pointer) (rest []byte, err error) {
	if p.nullable {
		valid, rest, err := cutNull(b)
		if err != nil || !valid {
			return rest, err
		}
		*(*bool)(unsafe.Add(base, p.nullOffset)) = true
		b = rest
	}
	at := unsafe.Add(base, p.offset)
	switch p.kind {
	case orderedString, orderedBytes:
		content, rest, err := cutEscaped(b)
		if err != nil {
			return nil, err
		}
		if p.kind == orderedString {
			*(*string)(at) = string(content)
		} else {
			*(*[]byte)(at) = append([]byte{}, content...)
		}
		return rest, nil
	}
	if len(b) < p.width {
		return nil, errOrderedEnd
	}
	if p.kind == orderedBinary {
		copy(unsafe.Slice((*byte)(at), p.width), b)
		return b[p.width:], nil
	}
	if u := loadWidth(b, p.width); !p.store(at, u) {
		return nil, fmt.Errorf("no %s is written %x", p.goKind, b[:p.width])
	}
	return b[p.width:], nil
}

var errOrderedEnd = errors.New("the bytes end within a key")

// appendWidth appends the last bytes of a word, big endian.
func appendWidth(dst []byte, u uint64, width int) []byte {
	switch width {
	case 1:
		return append(dst, byte(u))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(u))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(u))
	}
	return binary.BigEndian.AppendUint64(dst, u)
}

func loadWidth(b []byte, width int) uint64 {
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// appendEscaped appends a string whose end shows, so that it comes before all it begins.
func appendEscaped(dst, s []byte) []byte {
	for {
		zero := bytes.IndexByte(s, 0)
		if zero < 0 {
			dst = append(dst, s...)
			return append(dst, orderedEscape, orderedEnd)
		}
		dst = append(dst, s[:zero]...)
		dst = append(dst, orderedEscape, orderedZero)
		s = s[zero+1:]
	}
}

// cutEscaped takes a string off b. The content aliases b unless it was escaped.
func cutEscaped(b []byte) (content, rest []byte, err error) {
	var unescaped []byte
	for start := 0; ; {
		zero := bytes.IndexByte(b[start:], orderedEscape)
		if zero < 0 || start+zero+1 == len(b) {
			return nil, nil, errOrderedEnd
		}
		end := start + zero
		switch b[end+1] {
		case orderedEnd:
			if unescaped == nil {
				return b[:end], b[end+2:], nil
			}
			return append(unescaped, b[start:end]...), b[end+2:], nil
		case orderedZero:
			unescaped = append(unescaped, b[start:end]...)
			unescaped = append(unescaped, 0)
			start = end + 2
		default:
			return nil, nil, fmt.Errorf("byte %#02x follows a zero in a string", b[end+1])
		}
	}
}

// cutNull takes the byte that says whether a nullable part has a value off b.
func cutNull(b []byte) (valid bool, rest []byte, err error) {
	if len(b) == 0 {
		return false, nil, errOrderedEnd
	}
	if b[0] > orderedValue {
		return false, nil, fmt.Errorf("byte %#02x says whether a part is null", b[0])
	}
	return b[0] == orderedValue, b[1:], nil
}

func orderFloat64(f float64) uint64 {
	u := FloatBits(f)
	if u>>63 != 0 {
		return ^u
	}
	return u | 1<<63
}

func floatOfOrder64(u uint64) float64 {
	if u>>63 != 0 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

const canonicalNaN32 = 0x7fc00000

func orderFloat32(f float32) uint32 {
	u := math.Float32bits(f)
	switch {
	case f != f:
		u = canonicalNaN32
	case f == 0:
		u = 0
	}
	if u>>31 != 0 {
		return ^u
	}
	return u | 1<<31
}

func floatOfOrder32(u uint32) float32 {
	if u>>31 != 0 {
		return math.Float32frombits(u &^ (1 << 31))
	}
	return math.Float32frombits(^u)
}

// goValue returns the number of a column, written as u, as Go value; false when it has none.
func (k orderedKind) goValue(u uint64, width int) (any, bool) {
	v := int64(u) - 1<<(8*width-1)
	switch k {
	case orderedBool:
		return u != 0, u <= 1
	case orderedUnsigned:
		return u, true
	case orderedFloat:
		f := floatOfOrder32(uint32(u))
		return f, orderFloat32(f) == uint32(u)
	case orderedDouble:
		f := floatOfOrder64(u)
		return f, orderFloat64(f) == u
	case orderedTimestamp:
		return eventtime.Timestamp(v), true
	}
	return v, true
}
