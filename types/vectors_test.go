package types

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

const vectorFile = "../docs/formats/hash.md"

// vectorRows returns the cells of the table of test vectors.
func vectorRows(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Test vectors")
	if !found {
		t.Fatalf("no test vectors in %s", vectorFile)
	}
	var rows [][]string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	return rows
}

// hashOfText hashes a value written as in the table.
func hashOfText(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	if inner, found := strings.CutPrefix(text, "("); found {
		return hashOfComposite(strings.TrimSuffix(inner, ")"))
	}
	kind, rest, _ := strings.Cut(text, " ")
	var a, b int64
	switch kind {
	case "null":
		return HashNull, nil
	case "BOOLEAN":
		return HashBool(rest == "TRUE"), nil
	case "INT", "BIGINT", "TIMESTAMP(3)", "DATE":
		n, err := strconv.ParseInt(rest, 10, 64)
		return HashInt64(n), err
	case "DOUBLE", "FLOAT":
		f, err := strconv.ParseFloat(rest, map[string]int{"DOUBLE": 64, "FLOAT": 32}[kind])
		if rest == "-NaN" {
			return HashFloat64(math.Copysign(math.NaN(), -1)), nil
		}
		return HashFloat64(f), err
	case "STRING", "BYTES":
		s, err := strconv.Unquote(rest)
		if HashString(s) != HashBytes([]byte(s)) {
			return 0, fmt.Errorf("strings and bytes differ for %q", s)
		}
		return HashString(s), err
	case "TIMESTAMP(9)":
		_, err := fmt.Sscanf(rest, "%d ms %d ns", &a, &b)
		return HashLongTimestamp(a, int32(b)), err
	case "DECIMAL":
		var low uint64
		_, err := fmt.Sscanf(rest, "high %d low %d", &a, &low)
		return HashDecimal(a, low), err
	}
	return 0, fmt.Errorf("unknown kind %q", kind)
}

func hashOfComposite(text string) (uint64, error) {
	parts := splitParts(text)
	if len(parts) == 1 {
		return hashOfText(parts[0])
	}
	h := HashStart
	for _, part := range parts {
		inner, err := hashOfText(part)
		if err != nil {
			return 0, err
		}
		h = Fold(h, inner)
	}
	return h, nil
}

// splitParts splits at semicolons outside of brackets.
func splitParts(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ';':
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}

// Goal: hash id 1 never changes, and its description is right. Method: check every line of the
// table of test vectors in the description.
func TestHashVectors(t *testing.T) {
	rows := vectorRows(t)
	if len(rows) < 40 {
		t.Fatalf("%d test vectors in %s, want at least 40", len(rows), vectorFile)
	}
	for _, row := range rows {
		h, err := hashOfText(row[0])
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		got := []string{
			fmt.Sprintf("0x%016x", h), fmt.Sprint(KeyGroupOf(h)),
			fmt.Sprint(SubtaskOf(h, 3)), fmt.Sprint(SubtaskOf(h, 128)),
		}
		if fmt.Sprint(got) != fmt.Sprint(row[1:]) {
			t.Errorf("%s: got %v, want %v", row[0], got, row[1:])
		}
	}
}

// Goal: the building blocks are the published functions, not only what we wrote down ourselves.
// Method: known outputs of splitmix64 (seed 0) and of XXH3.
func TestHashAgainstPublishedValues(t *testing.T) {
	state := uint64(0)
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		state += 0x9e3779b97f4a7c15
		if got := Mix64(state); got != want {
			t.Errorf("splitmix64 output %d: got %#x, want %#x", i, got, want)
		}
	}
	if got, want := HashString(""), uint64(0x2d06800538d394c2); got != want {
		t.Errorf("XXH3 of nothing: got %#x, want %#x", got, want)
	}
}
