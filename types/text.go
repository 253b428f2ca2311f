package types

import (
	"strconv"
	"strings"
)

// String returns the SQL spelling of t, as Flink's asSummaryString: "BIGINT NOT NULL",
// "DECIMAL(10, 2)", "ROW<`a` INT, `b` STRING NOT NULL>". [ParseType] reads it back.
func (t Type) String() string { return string(t.appendText(nil)) }

func (t Type) appendText(b []byte) []byte {
	b = append(b, t.Kind.String()...)
	switch t.Kind {
	case Decimal:
		b = append(b, '(')
		b = strconv.AppendInt(b, int64(t.Precision), 10)
		b = append(b, ", "...)
		b = strconv.AppendInt(b, int64(t.Scale), 10)
		b = append(b, ')')
	case Time, Timestamp, TimestampLTZ:
		b = append(b, '(')
		b = strconv.AppendInt(b, int64(t.Precision), 10)
		b = append(b, ')')
	case Row:
		b = append(b, '<')
		b = appendFields(b, t.Fields)
		b = append(b, '>')
	}
	if !t.Nullable {
		b = append(b, " NOT NULL"...)
	}
	return b
}

func appendFields(b []byte, fields []Field) []byte {
	for i, f := range fields {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '`')
		b = append(b, strings.ReplaceAll(f.Name, "`", "``")...)
		b = append(b, "` "...)
		b = f.Type.appendText(b)
	}
	return b
}

// String returns the column list of s in SQL spelling: "(`id` BIGINT NOT NULL, `name` STRING)".
func (s *Schema) String() string {
	b := appendFields([]byte{'('}, s.Fields)
	return string(append(b, ')'))
}

// Describe returns the stable text that is stored beside state and compared on restore: the SQL
// spelling of s. [ParseSchema] reads it back.
func (s *Schema) Describe() string { return s.String() }

// MarshalText returns what Describe returns.
func (s *Schema) MarshalText() ([]byte, error) { return []byte(s.Describe()), nil }

// UnmarshalText sets s to the schema that text describes.
func (s *Schema) UnmarshalText(text []byte) error {
	parsed, err := ParseSchema(string(text))
	if err != nil {
		return err
	}
	*s = *parsed
	return nil
}
