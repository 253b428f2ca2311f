package state_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

type (
	colour uint8
	inner  struct {
		Small int8
		Text  string
		Deep  struct{ Big int64 }
	}
	// everything has a field of every kind, in an order that leaves gaps.
	everything struct {
		Bool    bool
		Int64   int64
		Int8    int8
		Int16   int16
		Uint8   colour
		Int32   int32
		Text    string
		Uint16  uint16
		Float32 float32
		Int     int
		Uint32  uint32
		Float64 float64
		Bytes   []byte
		Time    eventtime.Timestamp
		Nested  inner
		Omitted int64 `leat:"-"`

		NullBool   types.Null[bool]
		NullInt8   types.Null[int8]
		NullUint8  types.Null[uint8]
		NullUint16 types.Null[uint16]
		NullUint32 types.Null[uint32]
		NullInt64  types.Null[int64]
		NullFloat  types.Null[float64]
		NullText   types.Null[string]
		NullBytes  types.Null[[]byte]
		NullTime   types.Null[eventtime.Timestamp]
		Last       bool
	}
	// direct has the layout of its row, with padding inside and behind.
	direct struct {
		A int64
		B int8
		C int16
		D int32
		E bool
	}
	// gapless has no padding.
	gapless struct {
		A, B int64
		C    float64
	}
	unsigned struct {
		A uint32
		B int64
	}
)

func randomText(r *rand.Rand) string {
	return strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(4)*r.IntN(20))
}

func randomBytes(r *rand.Rand) []byte {
	if text := randomText(r); text != "" {
		return []byte(text)
	}
	return nil
}

// null returns v, or null without a trace of v.
func null[V any](r *rand.Rand, v V) types.Null[V] {
	if r.IntN(2) == 0 {
		return types.Null[V]{}
	}
	return types.NullOf(v)
}

func randomEverything(r *rand.Rand) everything {
	e := everything{
		Bool: r.IntN(2) == 0, Int64: int64(r.Uint64()), Int8: int8(r.Uint32()),
		Int16: int16(r.Uint32()), Uint8: colour(r.Uint32()), Int32: int32(r.Uint32()),
		Text: randomText(r), Uint16: uint16(r.Uint32()), Float32: r.Float32(),
		Int: int(r.Uint64()), Uint32: r.Uint32(), Float64: math.Inf(-1), Bytes: randomBytes(r),
		Time:   eventtime.Timestamp(r.Uint64()),
		Nested: inner{Small: int8(r.Uint32()), Text: randomText(r)}, Last: r.IntN(2) == 0,
		NullBool: null(r, true), NullInt8: null(r, int8(r.Uint32())),
		NullUint8: null(r, uint8(r.Uint32())), NullUint16: null(r, uint16(r.Uint32())),
		NullUint32: null(r, r.Uint32()), NullInt64: null(r, int64(r.Uint64())),
		NullFloat: null(r, r.Float64()), NullText: null(r, randomText(r)),
		NullBytes: null(r, randomBytes(r)), NullTime: null(r, eventtime.Timestamp(r.Uint64())),
	}
	e.Nested.Deep.Big = int64(r.Uint64())
	return e
}

// roundTrip stores values of T over one another in a few rows and reads them back; it returns
// the serial form of the rows.
func roundTrip[T any](
	t *testing.T, f backend.Factory, random func(*rand.Rand) T,
) map[uint64]string {
	t.Helper()
	const seed = 7
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	codec, err := declared.NewCodec[T]()
	if err != nil {
		t.Fatal(err)
	}
	rows := open(t, f, codec.Row(1))
	want := map[uint64]T{}
	for i := range 2000 {
		key, v := r.Uint64N(40), random(r)
		if err := codec.Store(rows.table, rows.row(key, backend.Insert), &v); err != nil {
			t.Fatal(err)
		}
		want[key] = v
		key = r.Uint64N(40)
		wanted, ok := want[key]
		if !ok {
			continue
		}
		got := random(r) // what is there before must not show
		codec.Load(rows.table, rows.row(key, backend.Find), &got)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Fatalf("step %d, key %d: %s", i, key, diff)
		}
	}
	return rows.serial()
}

// bothBackends compares the bytes of the rows that backends make of the same values.
func bothBackends[T any](t *testing.T, random func(*rand.Rand) T) {
	var first map[uint64]string
	onBackends(t, func(t *testing.T, f backend.Factory) {
		serial := roundTrip(t, f, random)
		if first == nil {
			first = serial
		}
		if len(serial) != 40 {
			t.Errorf("%d rows, want 40", len(serial))
		}
		if diff := cmp.Diff(first, serial); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: what a codec stores it reads back, whatever was there before, and rows are the same on
// all backends. Method: random values of types of every shape, stored over one another.
func TestCodecRoundTrip(t *testing.T) {
	t.Run("everything", func(t *testing.T) { bothBackends(t, randomEverything) })
	t.Run("direct", func(t *testing.T) {
		bothBackends(t, func(r *rand.Rand) direct {
			return direct{int64(r.Uint64()), int8(r.Uint32()), int16(r.Uint32()),
				int32(r.Uint32()), r.IntN(2) == 0}
		})
	})
	t.Run("gapless", func(t *testing.T) {
		bothBackends(t, func(r *rand.Rand) gapless {
			return gapless{int64(r.Uint64()), int64(r.Uint64()), r.Float64()}
		})
	})
	t.Run("unsigned", func(t *testing.T) {
		bothBackends(t, func(r *rand.Rand) unsigned {
			return unsigned{r.Uint32(), int64(r.Uint64())}
		})
	})
	t.Run("int64", func(t *testing.T) {
		bothBackends(t, func(r *rand.Rand) int64 { return int64(r.Uint64()) })
	})
	t.Run("string", func(t *testing.T) { bothBackends(t, randomText) })
	t.Run("bytes", func(t *testing.T) { bothBackends(t, randomBytes) })
	t.Run("null", func(t *testing.T) {
		bothBackends(t, func(r *rand.Rand) types.Null[string] { return null(r, randomText(r)) })
	})
	t.Run("nothing", func(t *testing.T) {
		bothBackends(t, func(*rand.Rand) struct{} { return struct{}{} })
	})
}

// Goal: the bytes of a row are those of the documented layout. Method: one value by hand.
func TestCodecBytes(t *testing.T) {
	type small struct {
		A uint8
		N types.Null[int32]
		S string
		T types.Null[string]
		M types.Null[int8]
	}
	want := "\x02\x00\x00\x00\x00\x00\x00\x00" + // of N, T and M the second is null
		"\xfe\x00\x00\x00\x05\x00\x00\x00" + "\xff\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "abc"
	onBackends(t, func(t *testing.T, f backend.Factory) {
		codec, err := declared.NewCodec[small]()
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, codec.Row(1))
		v := small{A: 254, N: types.NullOf(int32(5)), S: "abc", M: types.NullOf(int8(-1))}
		v.T.V = "not there" // left over beside a null
		if err := codec.Store(rows.table, rows.row(1, backend.Insert), &v); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[uint64]string{1: want}, rows.serial()); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: a null leaves nothing of a value behind, neither of one stored before nor of one
// beside it. Method: store a value, then nulls with and without a value, compare the rows.
func TestCodecNullIsZeros(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		codec, err := declared.NewCodec[types.Null[int64]]()
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, codec.Row(1))
		for key, v := range []types.Null[int64]{{}, {V: 9}} {
			row := rows.row(uint64(key), backend.Insert)
			seven := types.NullOf(int64(7))
			for _, v := range []types.Null[int64]{seven, v} {
				if err := codec.Store(rows.table, row, &v); err != nil {
					t.Fatal(err)
				}
			}
		}
		codec.Zero(rows.table, rows.row(2, backend.Insert))
		null := "\x01" + strings.Repeat("\x00", 15)
		want := map[uint64]string{0: null, 1: null, 2: null}
		if diff := cmp.Diff(want, rows.serial()); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: padding of T never reaches a row. Method: store a value whose padding is dirty.
func TestCodecPadding(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		codec, err := declared.NewCodec[direct]()
		if err != nil {
			t.Fatal(err)
		}
		if !codec.InPlace() {
			t.Error("a struct laid out as its row cannot be used in place")
		}
		rows := open(t, f, codec.Row(1))
		var dirty direct
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&dirty)), unsafe.Sizeof(dirty))
		for i := range raw {
			raw[i] = 0xaa
		}
		dirty.A, dirty.B, dirty.C, dirty.D, dirty.E = 1, 2, 3, 4, true
		if err := codec.Store(rows.table, rows.row(1, backend.Insert), &dirty); err != nil {
			t.Fatal(err)
		}
		want := "\x01\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x03\x00\x04\x00\x00\x00" +
			"\x01\x00\x00\x00\x00\x00\x00\x00"
		if diff := cmp.Diff(map[uint64]string{1: want}, rows.serial()); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: rows are used in place only where memory and row agree. Method: a table of types.
func TestCodecInPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		got  func() (bool, error)
		want bool
	}{
		{"direct", inPlace[direct], true}, {"gapless", inPlace[gapless], true},
		{"int64", inPlace[int64], true}, {"timestamp", inPlace[eventtime.Timestamp], true},
		{"nothing", inPlace[struct{}], true}, {"unsigned", inPlace[unsigned], false},
		{"string", inPlace[string], false}, {"everything", inPlace[everything], false},
		{"null", inPlace[types.Null[int64]], false},
		{"omitted", inPlace[struct {
			A int64
			B int64 `leat:"-"`
		}], false},
	} {
		if got, err := c.got(); err != nil || got != c.want {
			t.Errorf("%s: in place %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

func inPlace[T any]() (bool, error) {
	c, err := declared.NewCodec[T]()
	if err != nil {
		return false, err
	}
	return c.InPlace(), nil
}

// Goal: strings read from a row outlive it. Method: read, overwrite and delete, look.
func TestCodecCopies(t *testing.T) {
	type pair struct {
		S string
		B []byte
	}
	onBackends(t, func(t *testing.T, f backend.Factory) {
		codec, err := declared.NewCodec[pair]()
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, codec.Row(1))
		row := rows.row(1, backend.Insert)
		var got pair
		for i := range 3 {
			want := pair{fmt.Sprint("a string of number ", i), []byte("bytes")}
			if err := codec.Store(rows.table, row, &want); err != nil {
				t.Fatal(err)
			}
			before := got
			codec.Load(rows.table, row, &got)
			got.B[0] = 'B' // ours
			if i > 0 && before.S != fmt.Sprint("a string of number ", i-1) {
				t.Errorf("a string read before became %q", before.S)
			}
		}
		codec.Load(rows.table, row, &got)
		if string(got.B) != "bytes" {
			t.Errorf("the row has %q after its copy was written", got.B)
		}
	})
}

// Goal: an unsupported type is refused with type, field and cure. Method: read the message.
func TestCodecRefuses(t *testing.T) {
	type bad struct{ Tags map[string]string }
	_, err := declared.NewCodec[bad]()
	if err == nil || !strings.Contains(err.Error(), `field "Tags" of type state_test.bad`) ||
		!strings.Contains(err.Error(), "use []byte") {
		t.Errorf("error %v", err)
	}
}
