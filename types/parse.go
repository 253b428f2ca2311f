package types

import (
	"fmt"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of rows in a text, so that damaged text cannot exhaust the stack.
const maxDepth = 64

// ParseType reads the spelling that [Type.String] writes; case and spaces between words do not
// matter, and a precision left out is that of SQL: DECIMAL(10, 0), TIME(0), TIMESTAMP(6).
func ParseType(text string) (Type, error) {
	p := typeParser{text: text}
	t, err := p.parseType(0)
	if err == nil {
		err = p.end()
	}
	if err == nil {
		err = t.Validate()
	}
	if err != nil {
		return Type{}, fmt.Errorf("read type %q: %w", text, err)
	}
	return t, nil
}

// ParseSchema reads what [Schema.Describe] returned.
func ParseSchema(text string) (*Schema, error) {
	p := typeParser{text: text}
	s := &Schema{}
	err := p.expect("(")
	if err == nil {
		s.Fields, err = p.parseFields(")", 0)
	}
	if err == nil {
		err = p.end()
	}
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("read schema %q: %w", text, err)
	}
	return s, nil
}

// typeParser reads text from at on.
type typeParser struct {
	text string
	at   int
}

func (p *typeParser) skipSpace() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// accept skips token, one punctuation character, and reports whether it came next.
func (p *typeParser) accept(token string) bool {
	p.skipSpace()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *typeParser) expect(token string) error {
	if !p.accept(token) {
		return fmt.Errorf("find %q at offset %d: got %q", token, p.at, p.text[p.at:])
	}
	return nil
}

func (p *typeParser) end() error {
	p.skipSpace()
	if p.at < len(p.text) {
		return fmt.Errorf("find the end at offset %d: got %q", p.at, p.text[p.at:])
	}
	return nil
}

// word skips and returns the letters and underscores that come next, in upper case.
func (p *typeParser) word() string {
	p.skipSpace()
	start := p.at
	for p.at < len(p.text) {
		c := p.text[p.at] | 0x20
		if (c < 'a' || c > 'z') && p.text[p.at] != '_' {
			break
		}
		p.at++
	}
	return strings.ToUpper(p.text[start:p.at])
}

func (p *typeParser) parseType(depth int) (Type, error) {
	if depth > maxDepth {
		return Type{}, fmt.Errorf("nest at most %d rows", maxDepth)
	}
	start := p.at
	name := p.word()
	t := Type{Kind: kindNamed(name), Nullable: true}
	var err error
	switch t.Kind {
	case Invalid:
		return Type{}, fmt.Errorf("find a type at offset %d: got %q", start, name)
	case Decimal:
		t.Precision, t.Scale, err = p.parseDecimal()
	case Time:
		t.Precision, err = p.parsePrecision(0)
	case Timestamp, TimestampLTZ:
		t.Precision, err = p.parsePrecision(6)
	case Row:
		if err = p.expect("<"); err == nil {
			t.Fields, err = p.parseFields(">", depth+1)
		}
	}
	if err != nil {
		return Type{}, err
	}
	return p.parseNullability(t)
}

func (p *typeParser) parseNullability(t Type) (Type, error) {
	before := p.at
	switch p.word() {
	case "NULL":
		return t, nil
	case "NOT":
		if p.word() != "NULL" {
			return Type{}, fmt.Errorf(`find "NULL" after "NOT" at offset %d`, p.at)
		}
		return t.NotNull(), nil
	}
	p.at = before
	return t, nil
}

func (p *typeParser) parsePrecision(otherwise int) (int, error) {
	if !p.accept("(") {
		return otherwise, nil
	}
	n, err := p.parseNumber()
	if err != nil {
		return 0, err
	}
	return n, p.expect(")")
}

func (p *typeParser) parseDecimal() (precision, scale int, err error) {
	if !p.accept("(") {
		return 10, 0, nil
	}
	if precision, err = p.parseNumber(); err != nil {
		return 0, 0, err
	}
	if p.accept(",") {
		if scale, err = p.parseNumber(); err != nil {
			return 0, 0, err
		}
	}
	return precision, scale, p.expect(")")
}

func (p *typeParser) parseNumber() (int, error) {
	p.skipSpace()
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	n, err := strconv.Atoi(p.text[start:p.at])
	if err != nil {
		return 0, fmt.Errorf("find a number at offset %d: %w", start, err)
	}
	return n, nil
}

// parseFields reads fields up to and with the closing token; the opening one has been read.
func (p *typeParser) parseFields(closing string, depth int) ([]Field, error) {
	if p.accept(closing) {
		return nil, nil
	}
	var fields []Field
	for {
		name, err := p.parseName()
		if err != nil {
			return nil, err
		}
		t, err := p.parseType(depth)
		if err != nil {
			return nil, err
		}
		fields = append(fields, Field{Name: name, Type: t})
		if p.accept(",") {
			continue
		}
		return fields, p.expect(closing)
	}
}

// parseName reads a name in back quotes, doubled within.
func (p *typeParser) parseName() (string, error) {
	if err := p.expect("`"); err != nil {
		return "", err
	}
	start := p.at
	for {
		length := strings.IndexByte(p.text[p.at:], '`')
		if length < 0 {
			return "", fmt.Errorf("find the end of the name at offset %d", start)
		}
		p.at += length + 1
		if !strings.HasPrefix(p.text[p.at:], "`") {
			return strings.ReplaceAll(p.text[start:p.at-1], "``", "`"), nil
		}
		p.at++
	}
}

func kindNamed(name string) Kind {
	for k, known := range kindNames {
		if known == name {
			return Kind(k)
		}
	}
	return Invalid
}
