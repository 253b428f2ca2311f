package types

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: types have the spelling of SQL and it reads back. Method: table both ways.
func TestTypeText(t *testing.T) {
	for _, c := range []struct {
		t    Type
		want string
	}{
		{TypeOf(BigInt).NotNull(), "BIGINT NOT NULL"},
		{TypeOf(Boolean), "BOOLEAN"},
		{TypeOf(String), "STRING"},
		{DecimalOf(10, 2), "DECIMAL(10, 2)"},
		{TimestampOf(3).NotNull(), "TIMESTAMP(3) NOT NULL"},
		{TimestampLTZOf(9), "TIMESTAMP_LTZ(9)"},
		{TimeOf(0), "TIME(0)"},
		{RowOf(Col("a", TypeOf(Int)), Col("b`c", RowOf().NotNull())),
			"ROW<`a` INT, `b``c` ROW<> NOT NULL>"},
	} {
		if got := c.t.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		back, err := ParseType(c.want)
		if err != nil || !back.Equal(c.t) {
			t.Errorf("read %q: got %v, %v", c.want, back, err)
		}
		if loose, err := ParseType(" " + strings.ToLower(c.want) + " "); err != nil ||
			!loose.Equal(c.t) {
			t.Errorf("read %q in lower case: got %v, %v", c.want, loose, err)
		}
	}
}

// Goal: text that is no type is refused with its place. Method: table.
func TestParseTypeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "find a type at offset 0",
		"INVALID":                      "find a type",
		"BIGINT NOT":                   `after "NOT"`,
		"BIGINT NOT NULL x":            "find the end",
		"DECIMAL(39, 0)":               "precision must be 1 to 38",
		"DECIMAL(3, 4)":                "scale must be",
		"TIMESTAMP(10)":                "precision must be 0 to 9",
		"TIMESTAMP(":                   "find a number",
		"TIME(4)":                      "precision must be 0 to 3",
		"ROW<`a` INT, `a` INT>":        "occurs twice",
		"ROW<`` INT>":                  "no name",
		"ROW<`a INT>":                  "end of the name",
		strings.Repeat("ROW<`a` ", 70): "nest at most",
	} {
		if _, err := ParseType(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("read %q: got %v, want %q", text, err, want)
		}
	}
}

// Goal: a schema names all its faults. Method: one with several.
func TestSchemaValidate(t *testing.T) {
	_, err := NewSchema(Col("a", TypeOf(Int)), Col("a", Type{}), Col("", DecimalOf(0, 0)),
		Col("d", Type{Kind: Int, Precision: 3}), Col("e", Type{Kind: Int, Scale: 1}),
		Col("f", Type{Kind: Int, Fields: []Field{{}}}))
	for _, want := range []string{`"a" occurs twice`, "unknown kind 0", "column 3 has no name",
		"precision must be", `column "d"`, `column "e"`, `column "f"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Goal: columns are found and projected. Method: a schema of two.
func TestSchemaIndexAndProject(t *testing.T) {
	s, err := NewSchema(Col("a", TypeOf(Int)), Col("b", TypeOf(String).NotNull()))
	if err != nil {
		t.Fatal(err)
	}
	if s.Index("b") != 1 || s.Index("B") != -1 {
		t.Errorf("b at %d, B at %d", s.Index("b"), s.Index("B"))
	}
	want := "(`b` STRING NOT NULL, `a` INT)"
	if diff := cmp.Diff(want, s.Project([]int{1, 0}).Describe()); diff != "" {
		t.Error(diff)
	}
	if s.Equal(s.Project([]int{1, 0})) || !s.Equal(s.Project([]int{0, 1})) {
		t.Error("Equal does not see the order")
	}
}

// Goal: no text crashes the reader, and what it accepts has one spelling that reads back equal.
// Method: fuzz.
func FuzzSchemaText(f *testing.F) {
	f.Add("(`a` BIGINT NOT NULL, `b``` ROW<`x` DECIMAL(3, 1)>, `c` TIMESTAMP_LTZ(6))")
	f.Add("( `a` timestamp null,`b` row<> not null )")
	f.Add("()")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchema(text)
		if err != nil {
			return
		}
		var back Schema
		if err := back.UnmarshalText([]byte(s.Describe())); err != nil || !back.Equal(s) {
			t.Fatalf("%q reads as %s, which reads as %s, %v", text, s, &back, err)
		}
		LayoutOfSchema(s)
	})
}
