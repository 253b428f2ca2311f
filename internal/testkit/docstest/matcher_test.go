package docstest

import (
	"fmt"
	"regexp"
	"strings"
)

// Elision is a line, or a part of one, that stands for any output.
const Elision = "…"

// classes are what differs from run to run: each text of a class stands for all of it.
var classes = []struct {
	pattern string
	number  bool // given exactly when the document says so
}{
	{`file://[^\s,;:)"]+`, false},
	{`\b[0-9a-f]{32,64}\b`, false},
	{`\bsavepoint-[0-9a-f]{6}-[0-9a-f]{12}\b`, false},
	{`\b\d+(-\d+)+-[0-9a-f]{8}\.run\b`, false},
	{`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?Z?`, false},
	{`\b[\d.]+(ms|µs|s)\b`, false},
	{`[\d.]+ (B|KiB|MiB|GiB)\b`, true},
	{`~?\b\d[\d,]*(\.\d+)?`, true},
}

var class, freeClass = classOf(false), classOf(true)

// classOf returns an expression that finds the texts of all classes, each in a group of its own.
func classOf(numbers bool) *regexp.Regexp {
	var parts []string
	for i, c := range classes {
		if numbers || !c.number {
			parts = append(parts, fmt.Sprintf("(?P<class%d>%s)", i, c.pattern))
		}
	}
	return regexp.MustCompile(Elision + "|" + strings.Join(parts, "|"))
}

// Match compares what a document shows with what a command printed, and says in which line of the
// document, from 0, they differ; -1 if they do not. A line that is an elision stands for any
// number of lines, one inside a line for any text. Identifiers, paths, times and durations may be
// others of their kind, and numbers and sizes too unless exact is set; so may the number of blanks
// between words.
func Match(shown, printed []string, exact bool) int {
	expressions := make([]*regexp.Regexp, len(shown))
	for i, line := range shown {
		if strings.TrimSpace(line) != Elision {
			expressions[i] = expression(line, exact)
		}
	}
	furthest := 0
	if match(expressions, printed, 0, &furthest) {
		return -1
	}
	return furthest
}

// match matches expressions from one on; nil stands for any number of lines.
func match(all []*regexp.Regexp, printed []string, from int, furthest *int) bool {
	*furthest = max(*furthest, from)
	switch {
	case from == len(all):
		return len(printed) == 0
	case all[from] == nil:
		for skip := 0; skip <= len(printed); skip++ {
			if match(all, printed[skip:], from+1, furthest) {
				return true
			}
		}
		return false
	case len(printed) == 0 || !all[from].MatchString(printed[0]):
		return false
	}
	return match(all, printed[1:], from+1, furthest)
}

// expression turns a line of a document into what a line of output must be.
func expression(line string, exact bool) *regexp.Regexp {
	finder := freeClass
	if exact {
		finder = class
	}
	var out strings.Builder
	out.WriteString(`^\s*`)
	rest := strings.TrimSpace(line)
	for rest != "" {
		found := finder.FindStringSubmatchIndex(rest)
		if found == nil {
			out.WriteString(literal(rest))
			break
		}
		out.WriteString(literal(rest[:found[0]]))
		out.WriteString(patternOf(finder, found))
		rest = rest[found[1]:]
	}
	out.WriteString(`\s*$`)
	return regexp.MustCompile(out.String())
}

func patternOf(finder *regexp.Regexp, found []int) string {
	for i, c := range classes {
		if group := finder.SubexpIndex(fmt.Sprintf("class%d", i)); group > 0 &&
			found[2*group] >= 0 {
			return "(?:" + c.pattern + ")"
		}
	}
	return ".*"
}

var blanks = regexp.MustCompile(`\s+`)

// literal quotes a text, in which blanks are as many as one likes.
func literal(text string) string {
	return blanks.ReplaceAllString(regexp.QuoteMeta(text), `\s+`)
}
