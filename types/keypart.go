package types

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// partKind says how the memory of a part of a key is read.
type partKind uint8

const (
	boolPart partKind = iota
	int8Part
	int16Part
	int32Part
	int64Part
	uint8Part
	uint16Part
	uint32Part
	float32Part
	float64Part
	stringPart
	octetsPart // a byte array
	foldPart   // parts of its own
)

// isNumber reports whether the canonical form is one word.
func (k partKind) isNumber() bool { return k <= float64Part }

// isWord reports whether the memory is the canonical word itself.
func (k partKind) isWord() bool { return k == int64Part }

// keyPart is a part of a key: a number, octets, or a composite of other parts.
type keyPart struct {
	kind   partKind
	offset uintptr // from the start of the enclosing part
	size   uintptr // in bytes
	parts  []keyPart
}

var keyKinds = map[reflect.Kind]partKind{
	reflect.Bool: boolPart, reflect.Int8: int8Part, reflect.Int16: int16Part,
	reflect.Int32: int32Part, reflect.Int64: int64Part, reflect.Uint8: uint8Part,
	reflect.Uint16: uint16Part, reflect.Uint32: uint32Part, reflect.Uint64: int64Part,
	reflect.Float32: float32Part, reflect.Float64: float64Part, reflect.String: stringPart,
}

// keyPartOf returns the part of type t at a path within the key type.
func keyPartOf(key, t reflect.Type, path string) (keyPart, error) {
	if kind, ok := keyKinds[t.Kind()]; ok {
		return keyPart{kind: kind, size: t.Size()}, nil
	}
	switch t.Kind() {
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		if t.Size() == 8 {
			return keyPart{kind: int64Part, size: 8}, nil
		}
		if t.Kind() == reflect.Int {
			return keyPart{kind: int32Part, size: 4}, nil
		}
		return keyPart{kind: uint32Part, size: 4}, nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return keyPart{kind: octetsPart, size: t.Size()}, nil
		}
		return foldArray(key, t, path)
	case reflect.Struct:
		if t != timeType {
			return foldStruct(key, t, path)
		}
	}
	return keyPart{}, keyFault(key, t, path)
}

func keyFault(key, t reflect.Type, path string) error {
	cure := "use a bool, a number, string, or a struct or array of these"
	switch {
	case t == timeType:
		cure = "use eventtime.Timestamp"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		cure = "use string, or a byte array of fixed length"
	case t.Kind() == reflect.Pointer:
		cure = fmt.Sprintf("use %s", t.Elem())
	}
	if path == "" {
		return fmt.Errorf("use type %s as key: it has no canonical form; %s", key, cure)
	}
	return fmt.Errorf("use type %s as key: field %q of type %s has no canonical form; %s",
		key, path[1:], t, cure)
}

func foldArray(key, t reflect.Type, path string) (keyPart, error) {
	fold := keyPart{kind: foldPart, size: t.Size()}
	for i := range t.Len() {
		part, err := keyPartOf(key, t.Elem(), path+".0")
		if err != nil {
			return keyPart{}, err
		}
		part.offset += uintptr(i) * t.Elem().Size()
		fold.parts = append(fold.parts, part)
	}
	return fold.unwrap(), nil
}

func foldStruct(key, t reflect.Type, path string) (keyPart, error) {
	if _, null := nullOf(t); null {
		return keyPart{}, keyFault(key, t, path)
	}
	fold := keyPart{kind: foldPart, size: t.Size()}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		part, err := keyPartOf(key, f.Type, path+"."+f.Name)
		if err != nil {
			return keyPart{}, err
		}
		part.offset += f.Offset
		fold.parts = append(fold.parts, part)
	}
	return fold.unwrap(), nil
}

// unwrap returns the only part of a composite of one.
func (p keyPart) unwrap() keyPart {
	if len(p.parts) == 1 {
		return p.parts[0]
	}
	return p
}

// flatten appends the numbers and octets in p, with offsets from the start of the key.
func (p keyPart) flatten(to []keyPart, base uintptr) []keyPart {
	p.offset += base
	if p.kind != foldPart {
		return append(to, p)
	}
	for _, inner := range p.parts {
		to = inner.flatten(to, p.offset)
	}
	return to
}

// hash returns the hash of the part in the memory at base.
func (p *keyPart) hash(base unsafe.Pointer) uint64 {
	switch p.kind {
	case stringPart:
		return HashString(*(*string)(unsafe.Add(base, p.offset)))
	case octetsPart:
		return HashBytes(p.octets(base))
	case foldPart:
		h := HashStart
		at := unsafe.Add(base, p.offset)
		for i := range p.parts {
			h = Fold(h, p.parts[i].hash(at))
		}
		return h
	}
	return Mix64(p.word(base))
}

// word returns the canonical word of a number in the memory at base.
func (p *keyPart) word(base unsafe.Pointer) uint64 {
	at := unsafe.Add(base, p.offset)
	switch p.kind {
	case int64Part:
		return *(*uint64)(at)
	case int32Part:
		return uint64(*(*int32)(at))
	case boolPart, uint8Part:
		return uint64(*(*uint8)(at))
	case int8Part:
		return uint64(*(*int8)(at))
	case int16Part:
		return uint64(*(*int16)(at))
	case uint16Part:
		return uint64(*(*uint16)(at))
	case uint32Part:
		return uint64(*(*uint32)(at))
	case float32Part:
		return FloatBits(float64(*(*float32)(at)))
	}
	return FloatBits(*(*float64)(at))
}

// setWord sets the number in the memory at base to the one with the canonical word w.
func (p *keyPart) setWord(base unsafe.Pointer, w uint64) {
	at := unsafe.Add(base, p.offset)
	switch p.kind {
	case int64Part:
		*(*uint64)(at) = w
	case int32Part, uint32Part:
		*(*uint32)(at) = uint32(w)
	case boolPart:
		*(*bool)(at) = w != 0
	case int8Part, uint8Part:
		*(*uint8)(at) = uint8(w)
	case int16Part, uint16Part:
		*(*uint16)(at) = uint16(w)
	case float32Part:
		*(*float32)(at) = float32(math.Float64frombits(w))
	case float64Part:
		*(*float64)(at) = math.Float64frombits(w)
	}
}

// octets returns the memory of a byte array.
func (p *keyPart) octets(base unsafe.Pointer) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(base, p.offset)), int(p.size))
}

// setOctets sets a string or byte array, copying b, and reports whether it has the right length.
func (p *keyPart) setOctets(base unsafe.Pointer, b []byte) bool {
	if p.kind == stringPart {
		*(*string)(unsafe.Add(base, p.offset)) = string(b)
		return true
	}
	return copy(p.octets(base), b) == len(b) && len(b) == int(p.size)
}

// appendParts appends the canonical bytes of a composite.
func appendParts(b []byte, parts []keyPart, base unsafe.Pointer) []byte {
	for i := range parts {
		p := &parts[i]
		switch p.kind {
		case stringPart:
			s := *(*string)(unsafe.Add(base, p.offset))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		case octetsPart:
			b = binary.LittleEndian.AppendUint32(b, uint32(p.size))
			b = append(b, p.octets(base)...)
		default:
			b = binary.LittleEndian.AppendUint64(b, p.word(base))
		}
	}
	return b
}

// consume sets the part from the front of the canonical bytes b of a composite and returns the
// rest.
func (p *keyPart) consume(base unsafe.Pointer, b []byte) (rest []byte, ok bool) {
	if p.kind.isNumber() {
		if len(b) < 8 {
			return nil, false
		}
		p.setWord(base, binary.LittleEndian.Uint64(b))
		return b[8:], true
	}
	if len(b) < 4 {
		return nil, false
	}
	length := uint64(binary.LittleEndian.Uint32(b))
	if b = b[4:]; uint64(len(b)) < length {
		return nil, false
	}
	return b[length:], p.setOctets(base, b[:length])
}

// hashNumbers hashes a run of keys that are one number or string each, at base; false when the
// kind has no loop of its own.
func hashNumbers(dst []uint64, base unsafe.Pointer, kind partKind) bool {
	switch kind {
	case int64Part:
		for i, v := range unsafe.Slice((*uint64)(base), len(dst)) {
			dst[i] = Mix64(v)
		}
	case int32Part:
		for i, v := range unsafe.Slice((*int32)(base), len(dst)) {
			dst[i] = Mix64(uint64(v))
		}
	case uint32Part:
		for i, v := range unsafe.Slice((*uint32)(base), len(dst)) {
			dst[i] = Mix64(uint64(v))
		}
	case stringPart:
		for i, v := range unsafe.Slice((*string)(base), len(dst)) {
			dst[i] = HashString(v)
		}
	default:
		return false
	}
	return true
}

// hashRun hashes a run of keys of size stride at base: a composite part by part, so that the
// loops know what they read.
func hashRun(dst []uint64, base unsafe.Pointer, stride uintptr, root *keyPart) {
	if root.kind != foldPart {
		for i := range dst {
			dst[i] = root.hash(unsafe.Add(base, uintptr(i)*stride))
		}
		return
	}
	for i := range dst {
		dst[i] = HashStart
	}
	base = unsafe.Add(base, root.offset)
	for j := range root.parts {
		part := &root.parts[j]
		at := unsafe.Add(base, part.offset)
		switch part.kind {
		case int64Part:
			foldIntegers[int64](dst, at, stride)
		case int32Part:
			foldIntegers[int32](dst, at, stride)
		case uint32Part:
			foldIntegers[uint32](dst, at, stride)
		case boolPart, uint8Part:
			foldIntegers[uint8](dst, at, stride)
		default:
			for i := range dst {
				dst[i] = Fold(dst[i], part.hash(unsafe.Add(base, uintptr(i)*stride)))
			}
		}
	}
}

func foldIntegers[V int64 | int32 | uint32 | uint8](
	dst []uint64, at unsafe.Pointer, stride uintptr,
) {
	for i := range dst {
		dst[i] = Fold(dst[i], Mix64(uint64(*(*V)(unsafe.Add(at, uintptr(i)*stride)))))
	}
}
