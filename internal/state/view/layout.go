package view

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// cell decodes the values of one schema out of a part of a row.
type cell struct {
	layout *types.Layout
	base   int // where the layout starts in the fixed part
	slot   int // number of its first variable slot
	single bool
}

// cellOf returns the decoder of a schema for a part of a row.
func cellOf(schema string, base, slot int) (cell, error) {
	s, err := types.ParseSchema(schema)
	if err != nil {
		return cell{}, err
	}
	return cell{
		layout: types.LayoutOfSchema(s), base: base, slot: slot,
		single: len(s.Fields) == 1 && s.Fields[0].Name == singleColumn &&
			s.Fields[0].Type.Kind != types.Row,
	}, nil
}

// singleColumn is the name of the only column of a type that is no struct.
const singleColumn = "value"

// columns are the names of the leaves; none for a value that is no struct.
func (c cell) columns() []string {
	if c.single {
		return nil
	}
	var names []string
	for _, f := range c.layout.Fields {
		if f.Bytes > 0 {
			names = append(names, f.Name)
		}
	}
	return names
}

// decode reads the value out of the fixed part and the variable values of a row.
func (c cell) decode(fixed []byte, vars [][]byte) any {
	part := fixed[c.base : c.base+c.layout.RowBytes]
	record := make(Record, 0, len(c.layout.Fields))
	slot := c.slot
	for _, f := range c.layout.Fields {
		var octets []byte
		if f.Variable {
			octets = vars[slot]
			slot++
		}
		if f.Bytes == 0 {
			continue
		}
		record = append(record, Field{Name: f.Name, Value: leaf(f, part, octets)})
	}
	if c.single {
		return record[0].Value
	}
	return record
}

func leaf(f types.LayoutField, part, octets []byte) any {
	if f.NullBit >= 0 {
		word := binary.LittleEndian.Uint64(part[f.NullBit/64*8:])
		if word>>(f.NullBit%64)&1 != 0 {
			return nil
		}
	}
	switch f.Type.Kind {
	case types.String:
		return string(octets)
	case types.Bytes:
		return Octets(append([]byte(nil), octets...))
	case types.Decimal:
		low, high := binary.LittleEndian.Uint64(part[f.Offset:]),
			binary.LittleEndian.Uint64(part[f.Offset+8:])
		return decimalText(int64(high), low, f.Type.Scale)
	case types.Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(part[f.Offset:])))
	case types.Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(part[f.Offset:]))
	}
	nanos := int64(0)
	if f.Bytes == 16 {
		nanos = int64(binary.LittleEndian.Uint32(part[f.Offset+8:]))
	}
	return ofInteger(f.Type.Kind, integer(part[f.Offset:], f.Bytes), nanos)
}

// integer reads a little-endian signed number of up to 8 bytes; of 16 bytes the first 8.
func integer(b []byte, size int) int64 {
	switch size {
	case 1:
		return int64(int8(b[0]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// ofInteger gives a number the meaning of its kind.
func ofInteger(kind types.Kind, n, nanos int64) any {
	switch kind {
	case types.Boolean:
		return n != 0
	case types.Date:
		return Time(time.Unix(n*86_400, 0).UTC().Format(time.DateOnly))
	case types.Time:
		return Time(time.UnixMilli(n).UTC().Format("15:04:05.000"))
	case types.Timestamp, types.TimestampLTZ:
		return timeText(n, nanos)
	}
	return n
}

func decimalText(high int64, low uint64, scale int) Time {
	n := new(big.Int).Lsh(big.NewInt(high), 64)
	n.Or(n, new(big.Int).SetUint64(low))
	if scale == 0 {
		return Time(n.String())
	}
	digits := fmt.Sprintf("%0*s", scale+1, new(big.Int).Abs(n))
	at := len(digits) - scale
	text := digits[:at] + "." + digits[at:]
	if n.Sign() < 0 {
		text = "-" + text
	}
	return Time(text)
}

// serial decodes values in the serial form of a row that holds one value and nothing else, perhaps
// behind the time of their last use.
type serial struct {
	cell
	layout backend.RowLayout
	ttl    bool
	raw    bool // without a schema: bytes
}

func serialOf(schema string, ttl bool) (serial, error) {
	if schema == "" {
		return serial{raw: true, cell: cell{single: true, layout: &types.Layout{}}}, nil
	}
	c, err := cellOf(schema, 0, 0)
	if err != nil {
		return serial{}, err
	}
	return serial{cell: c, ttl: ttl, layout: backend.RowLayout{
		FixedBytes: c.layout.RowBytes, VarSlots: c.layout.VarSlots,
	}}, nil
}

// decode returns the value and, with TTL, the time of its last use.
func (s serial) decode(b []byte) (value any, lastUse int64, err error) {
	if s.ttl {
		if len(b) < 8 {
			return nil, 0, fmt.Errorf("a value of %d bytes has no time of its last use", len(b))
		}
		lastUse, b = int64(binary.LittleEndian.Uint64(b)), b[8:]
	}
	if s.raw {
		return Octets(append([]byte(nil), b...)), lastUse, nil
	}
	fixed, vars, err := backend.SplitValue(s.layout, b)
	if err != nil {
		return nil, 0, err
	}
	return s.cell.decode(fixed, vars), lastUse, nil
}

// isNumber tells whether the i-th column holds numbers.
func (c cell) isNumber(i int) bool {
	for _, f := range c.layout.Fields {
		if f.Bytes == 0 {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		switch f.Type.Kind {
		case types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Float, types.Double,
			types.Decimal:
			return true
		}
		return false
	}
	return false
}
