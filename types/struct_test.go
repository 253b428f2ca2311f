package types

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
)

type userID int64

type inner struct {
	X int32
	Y string
}

type wide struct {
	ID      userID
	On      bool
	I8      int8
	U8      uint8
	I16     int16
	U16     uint16
	I32     int32
	U32     uint32
	N       int
	F32     float32
	F64     float64 `leat:"ratio"`
	Name    string
	Raw     []byte
	At      eventtime.Timestamp
	Took    time.Duration
	Maybe   Null[string]
	In      inner
	Skipped chan int `leat:"-"`
	_       int
}

// Goal: every supported Go type maps to its SQL type, under the names promised. Method: a struct
// with all of them, and the offsets of some leaves.
func TestStructOf(t *testing.T) {
	s, err := StructOf[wide]()
	if err != nil {
		t.Fatal(err)
	}
	want := "(`id` BIGINT NOT NULL, `on` BOOLEAN NOT NULL, `i8` TINYINT NOT NULL, " +
		"`u8` SMALLINT NOT NULL, `i16` SMALLINT NOT NULL, `u16` INT NOT NULL, " +
		"`i32` INT NOT NULL, `u32` BIGINT NOT NULL, `n` BIGINT NOT NULL, `f32` FLOAT NOT NULL, " +
		"`ratio` DOUBLE NOT NULL, `name` STRING NOT NULL, `raw` BYTES NOT NULL, " +
		"`at` TIMESTAMP(3) NOT NULL, `took` BIGINT NOT NULL, `maybe` STRING, " +
		"`in` ROW<`x` INT NOT NULL, `y` STRING NOT NULL> NOT NULL)"
	if diff := cmp.Diff(want, s.Schema.Describe()); diff != "" {
		t.Error(diff)
	}
	var w wide
	if s.Plain || s.Whole || s.Size != unsafe.Sizeof(w) || s.Align != unsafe.Alignof(w) {
		t.Errorf("plain %t, whole %t, size %d, align %d", s.Plain, s.Whole, s.Size, s.Align)
	}
	maybe, last := s.Leaves[15], s.Leaves[17]
	if maybe.Offset != unsafe.Offsetof(w.Maybe) ||
		maybe.NullOffset != unsafe.Offsetof(w.Maybe)+unsafe.Offsetof(w.Maybe.Valid) {
		t.Errorf("leaf %q at %d and %d", maybe.Name, maybe.Offset, maybe.NullOffset)
	}
	if last.Name != "in.y" || last.Column != 16 ||
		last.Offset != unsafe.Offsetof(w.In)+unsafe.Offsetof(w.In.Y) || len(last.Index) != 2 {
		t.Errorf("last leaf is %+v", last)
	}
}

// Goal: single values are a schema of one column. Method: two types.
func TestStructOfValue(t *testing.T) {
	number, err := StructOf[int64]()
	if err != nil || number.Schema.Describe() != "(`value` BIGINT NOT NULL)" || !number.Plain {
		t.Errorf("int64: %+v, %v", number, err)
	}
	text, err := StructOf[Null[string]]()
	if err != nil || text.Schema.Describe() != "(`value` STRING)" || text.Plain {
		t.Errorf("Null[string]: %+v, %v", text, err)
	}
}

// Goal: what cannot be mapped is refused by type, field and cure, all fields at once. Method: a
// struct of such fields.
func TestStructOfRefuses(t *testing.T) {
	type bad struct {
		hidden int
		U      uint64
		P      *int
		T      time.Time
		A      any
		M      map[string]int
		S      Null[inner]
		NN     Null[Null[int]]
		In     struct{ F func() }
	}
	_ = bad{}.hidden
	_, err := StructOf[bad]()
	for _, want := range []string{`"hidden"`, "not exported", `"U" of type types.bad`, "use int64",
		`"P"`, "types.Null[int]", "use eventtime.Timestamp", `"A"`, `"M"`, "one record for each",
		"make its fields nullable", "not two", `"In.F"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	type twice struct {
		A int
		B int `leat:"a"`
	}
	if _, err := StructOf[twice](); err == nil || !strings.Contains(err.Error(), "occurs twice") {
		t.Errorf("got %v", err)
	}
}

// Goal: rows lie as documented. Method: a layout written by hand.
func TestLayout(t *testing.T) {
	s, err := NewSchema(
		Col("a", TypeOf(Boolean).NotNull()), Col("s", TypeOf(String)),
		Col("b", TypeOf(Int)), Col("c", DecimalOf(20, 2).NotNull()),
		Col("r", RowOf(Col("x", TypeOf(SmallInt).NotNull()), Col("y", TypeOf(Bytes).NotNull()))),
		Col("d", TimestampOf(9).NotNull()))
	if err != nil {
		t.Fatal(err)
	}
	l := LayoutOfSchema(s)
	var got []string
	for _, f := range l.Fields {
		got = append(got, fmt.Sprint(f.Name, " ", f.Offset, " ", f.Bytes, " ", f.Variable, " ",
			f.NullBit))
	}
	want := []string{"a 8 1 false -1", "s 56 8 true 0", "b 12 4 false 1", "c 16 16 false -1",
		"r 0 0 false 2", "r.x 32 2 false -1", "r.y 64 8 true -1", "d 40 16 false -1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if l.NullWords != 1 || l.FixedStart != 8 || l.FixedBytes != 56 || l.RowBytes != 72 ||
		cmp.Diff([]int{56, 64}, l.VarSlots) != "" {
		t.Errorf("layout %+v", l)
	}
	if l.Describe() != s.Describe() {
		t.Errorf("described as %s", l.Describe())
	}
}

func direct[T any](t *testing.T) bool {
	t.Helper()
	s, err := StructOf[T]()
	if err != nil {
		t.Fatal(err)
	}
	return LayoutOf(s).DirectFor(s)
}

// Goal: rows are used through pointers exactly where memory and layout agree. Method: types on
// both sides of every clause of the rule.
func TestLayoutDirect(t *testing.T) {
	type padded struct {
		A int8
		B int64
		C bool
		D float32
	}
	type nested struct {
		A  int64
		In struct {
			B int32
			C int32
		}
	}
	type nestedShifted struct {
		A  int32
		In struct {
			B int8
			C int64
		}
	}
	type skipping struct {
		A int64
		B int64 `leat:"-"`
	}
	for name, c := range map[string][2]bool{
		"int64":    {direct[int64](t), true},
		"padded":   {direct[padded](t), true},
		"nested":   {direct[nested](t), true},
		"shifted":  {direct[nestedShifted](t), false},
		"unsigned": {direct[struct{ A uint32 }](t), false},
		"null":     {direct[struct{ A Null[int64] }](t), false},
		"string":   {direct[struct{ A string }](t), false},
		"skipping": {direct[skipping](t), false},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: direct is %t", name, c[0])
		}
	}
}

// TestColumnName checks how Go names become column names.
func TestColumnName(t *testing.T) {
	for name, want := range map[string]string{
		"A": "a", "ID": "id", "MeanDelay": "meanDelay", "URLPath": "urlPath", "X1": "x1",
		"UserID": "userID", "Ärger": "ärger",
	} {
		if got := columnName(name, ""); got != want {
			t.Errorf("columnName(%q) = %q, want %q", name, got, want)
		}
	}
}
