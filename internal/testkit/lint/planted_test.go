package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// plant is a small repository with breaches of one rule. A line of a Go file that ends with the
// comment "want" must be reported by the rule, and no other line may be.
type plant struct {
	rule  string
	name  string
	files map[string]string
	want  []string // findings without a line to mark, as path:line
}

// plantedLayers is the layers.txt of plants which bring none.
const plantedLayers = `
layer 0 internal/base/...
layer 1 types batch
layer 2 state connector format
layer 4 internal/runtime/...
layer 5 internal/cluster/...
layer 6 stream
layer 8 app
plug-in connector/... format/...
kit connector/connectortest
testkit internal/testkit/...
edge batch -> types
edge connector/file -> format/csv
deny internal/cluster/... -> internal/runtime/task
except internal/cluster/mini -> internal/runtime/task
stdlib internal/base/...
`

// importing is a file of the package in a folder, with imports of packages of this module.
func importing(folders ...string) string {
	text := "package p\n"
	for _, folder := range folders {
		folder, marked := strings.CutSuffix(folder, " want")
		text += fmt.Sprintf("import _ %q", ModulePath+"/"+folder)
		if marked {
			text += " // want"
		}
		text += "\n"
	}
	return text
}

func sourcePlants() []plant {
	const leaktest = "/internal/base/lifecycle/leaktest"
	const lifecycleImport = "import _ \"" + ModulePath + "/internal/base/lifecycle\"\n"
	return []plant{
		{rule: "parses", name: "syntax", want: []string{"a/a.go:1"},
			files: map[string]string{"a/a.go": "package a\nfunc {", "b/b.go": "package b\n"}},
		{rule: "package-comment", name: "none", files: map[string]string{
			"a/a.go":      "package a // want\n",
			"a/a_test.go": "// Package a has a comment in its test only.\npackage a\n",
			"b/b.go":      "// Package b holds b.\npackage b\n",
			"b/c.go":      "package b\n",
			"c/c.go":      "// Bees and more.\npackage c // want\n",
			"d/d.go":      "// Command d runs.\npackage main\n",
			"e/e_test.go": "package e\n",
			"f/f.go":      "// Copyright of somebody.\n\npackage f // want\n",
		}},
		{rule: "package-name", name: "drawers", files: map[string]string{
			"a/stringutils/a.go":          "package stringutils // want\n",
			"a/data/a.go":                 "package data // want\n",
			"a/events/a_test.go":          "package events_test // want\n",
			"a/b/a.go":                    "package helpers // want\n",
			"internal/x/taskmanager/a.go": "package taskmanager\n",
			"internal/x/manager/a.go":     "package manager // want\n",
			"eventtime/a.go":              "package eventtime\n",
		}},
		{rule: "leak-check", name: "goroutines", files: map[string]string{
			"a/a.go":      "package a // want\n" + lifecycleImport,
			"a/a_test.go": "package a\nimport _ \"testing\"\n",
			"b/b.go":      "package b\n" + lifecycleImport,
			"b/b_test.go": "package b\nimport _ \"" + ModulePath + leaktest + "\"\n",
			"c/c.go":      "package main\n" + lifecycleImport,
			"d/d_test.go": "package d\n" + lifecycleImport,
		}},
	}
}

func layerPlants() []plant {
	return []plant{
		{rule: "layer-known", name: "unlisted", files: map[string]string{
			"types/a.go": "package types\n", "other/a.go": "package other // want\n",
			"types/sub/a.go": "package sub // want\n", "a.go": "package leat // want\n",
		}},
		{rule: "layer-known", name: "broken table", want: []string{"layers.txt:2"},
			files: map[string]string{"layers.txt": "layer 1 types\nlayer one batch\n",
				"types/a.go": "package types\n"}},
		{rule: "layer-imports", name: "layers", files: map[string]string{
			"types/a.go":      importing("internal/base/clock", "batch want", "state want"),
			"types/a_test.go": importing("stream", "internal/testkit/sim"),
			"batch/a.go":      importing("types"),
			"state/a.go":      importing("connector want", "stream want", "types"),
			"stream/a.go": importing("connector/file", "internal/runtime/gate",
				"app want"),
			"app/a.go":             importing("connector/file", "stream"),
			"internal/base/a/a.go": importing("internal/base/b want"),
		}},
		{rule: "layer-imports", name: "plug-ins", files: map[string]string{
			"connector/file/a.go": importing("types", "connector", "format/csv", "format/json want",
				"connector/file/part", "internal/runtime/gate want", "stream want"),
			"format/csv/a.go":         importing("connector/file want", "internal/base/fault"),
			"connector/a.go":          importing("connector/file want"),
			"internal/runtime/x/a.go": importing("connector/file want"),
		}},
		{rule: "layer-imports", name: "kits and test gear", files: map[string]string{
			"connector/connectortest/a.go": importing("connector", "stream want", "types",
				"internal/testkit/sim want"),
			"connector/file/a.go":       importing("connector/connectortest want"),
			"stream/a.go":               importing("internal/testkit/oracle want"),
			"stream/a_test.go":          importing("connector/connectortest"),
			"internal/testkit/sim/a.go": importing("stream", "internal/testkit/oracle"),
		}},
		{rule: "layer-imports", name: "denied", files: map[string]string{
			"internal/cluster/jobmaster/a.go": importing("internal/runtime/task want",
				"internal/runtime/gate"),
			"internal/cluster/mini/a.go": importing("internal/runtime/task"),
		}},
		{rule: "standard-library-only", name: "leaf", files: map[string]string{
			"internal/base/a/a.go":      "package a\nimport _ \"fmt\"\nimport _ \"golang.org/x/a\" // want\n",
			"internal/base/a/a_test.go": "package a\nimport _ \"golang.org/x/a\"\n",
			"types/a.go":                "package types\nimport _ \"golang.org/x/a\"\n",
		}},
	}
}

func sizePlants() []plant {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	function := func(n int) string { return "package a\nfunc f() { // want" + lines(n-1) + "}\n" }
	allowed := func(n int) string { return "package a\nfunc f() {" + lines(n-1) + "}\n" }
	wide := strings.Repeat("x", 101)
	return []plant{
		{rule: "file-size", name: "long", want: []string{"a/long.go:801"},
			files: map[string]string{
				"a/long.go":  "package a" + lines(801),
				"a/max.go":   "package a" + lines(800),
				"a/x_gen.go": "package a" + lines(900),
				"a/x.pb.go":  "package a" + lines(900),
				"a/gen.go":   "// Code generated by hand. DO NOT EDIT.\n\npackage a" + lines(900),
			}},
		{rule: "function-size", name: "long", files: map[string]string{
			"a/a.go": function(71), "a/b.go": allowed(70),
			"a/a_test.go": function(121), "a/b_test.go": allowed(120),
			"a/c.go": "package a\nvar f = func() { // want" + lines(70) + "}\n",
			"a/d.go": "package a\n" + strings.Repeat("// word\n", 80) + "func g() {}\n",
		}},
		{rule: "parameters", name: "many", files: map[string]string{
			"a/a.go": "package a\nfunc f(a, b, c int, d, e, f, g string) {} // want\n" +
				"func g(a, b, c int, d, e, f string) {}\n" +
				"type t interface {\n\tm(int, int, int, int, int, int, int) // want\n}\n" +
				"func (r *r) m(a, b, c, d, e, f int) (g, h int) { return 0, 0 }\n",
		}},
		{rule: "line-length", name: "wide", want: []string{"a/a.go:2", "a/a.go:3", "a/a_test.go:3"},
			files: map[string]string{
				"a/a.go": "package a\nvar s = \"" + wide + "\"\n" +
					strings.Repeat("\t", 24) + "/*4*/\n" +
					strings.Repeat("\t", 24) + "/**/\n" +
					"// https://" + wide + "\n" +
					"//go:generate " + wide + "\n" +
					"// " + strings.Repeat("é", 97) + "\n",
				"a/a_test.go": "package a\nvar s = \"" + wide + "\"\nvar " + wide + " = 1\n" +
					"var t = `\n" + wide + "\n`\n",
			}},
	}
}

func callPlants() []plant {
	const timed = "package p\nimport \"time\"\nvar d time.Duration\nvar a = time.Now() // want\n" +
		"var b = time.Since // want\nfunc f() { time.Sleep(d); <-time.After(d) } // want want\n" +
		"func g(time struct{ Now int }) int { return time.Now }\n"
	clean := func(source string) string { return strings.ReplaceAll(source, "want", "") }
	const random = "package p\nimport \"math/rand/v2\"\nvar r = rand.New(rand.NewPCG(1, 2))\n" +
		"var i = rand.IntN(2) // want\nvar j = r.IntN(2)\n"
	const files = "package p\nimport (\n\"os\"\n\"path/filepath\"\n)\nvar a, _ = os.Open(\"\") // want\n" +
		"var b = os.Stdout\nvar c, _ = filepath.Glob(\"\") // want\nvar d = filepath.Join()\n"
	return []plant{
		{rule: "time-of-day", name: "time", files: map[string]string{
			"stream/a.go": timed, "stream/a_test.go": clean(timed), "bench/x/a.go": clean(timed),
			"internal/base/clock/a.go": clean(timed), "stream/a.pb.go": clean(timed),
			"types/a.go": "package p\nimport clock \"time\"\nvar a = clock.Now() // want\n",
		}},
		{rule: "sleep-in-test", name: "sleep", files: map[string]string{
			"a/a_test.go": "package a\nimport \"time\"\nfunc f() { time.Sleep(1) } // want\n",
			"a/b_test.go": "package a\nimport (\n\"time\"\n_ \"testing/synctest\"\n)\n" +
				"func g() { time.Sleep(1) }\n",
		}},
		{rule: "random-global", name: "rand", files: map[string]string{
			"stream/a.go": random, "app/a.go": clean(random), "stream/a_test.go": clean(random),
			"types/a.go": "package p\nimport \"math/rand\"\nvar a = rand.Perm(3) // want\n",
		}},
		{rule: "file-call", name: "os", files: map[string]string{
			"stream/a.go": files, "filesystem/local/a.go": clean(files), "cmd/x/a.go": clean(files),
			"filesystem/mem/a.go": files, "stream/a_test.go": clean(files),
		}},
		{rule: "go-statement", name: "go", files: map[string]string{
			"stream/a.go":                  "package p\nfunc f() { go f() } // want\n",
			"stream/a_test.go":             "package p\nfunc g() { go f() } // want\n",
			"internal/base/lifecycle/a.go": "package p\nfunc f() { go f() }\n",
		}},
		{rule: "panic-call", name: "panic", files: map[string]string{
			"stream/a.go":                  "package p\nfunc f() { panic(1) } // want\n",
			"stream/b.go":                  "package p\nfunc g(panic func(int)) { panic(1) }\n",
			"stream/a_test.go":             "package p\nfunc h() { panic(1) }\n",
			"internal/base/invariant/a.go": "package p\nfunc f() { panic(1) }\n",
		}},
		{rule: "must-function", name: "must", files: map[string]string{
			"stream/a.go": "package p\nimport \"regexp\"\nvar r = regexp.MustCompile(\"\")\n" +
				"func MustF() {} // want\nfunc Mustard() {}\n" +
				"func f() { _ = regexp.MustCompile(\"\") } // want\n" +
				"func g() { MustF() } // want\nfunc init() { MustF() }\n",
			"stream/a_test.go": "package p\nfunc MustG() { MustF() }\n",
		}},
	}
}

func apiPlants() []plant {
	source := `package p
import (
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/types"
	"golang.org/x/a"
)
func F(n graph.Vertex) {} // want
func G() (*types.Row, []map[string]graph.Vertex) { return nil, nil } // want
func h(graph.Vertex) graph.Vertex { return graph.Make() }
func H() { graph.Make() }
type T struct {
	graph.Vertex // want
	Open func(graph.Vertex) // want
	closed graph.Vertex
	Nested struct { in graph.Vertex }
}
func (t T) M(a.B) {} // want
func (t *T) m(graph.Vertex) {}
type u struct { Open graph.Vertex }
func (u) M(graph.Vertex) {}
type I interface {
	Put(graph.Vertex) // want
	sealed(graph.Vertex)
}
type A = graph.Vertex // want
type P[X graph.Vertex] struct{} // want
func (P[X]) N(graph.Vertex) {} // want
var V graph.Vertex // want
var W = graph.Make() // want
var X types.Row = graph.Make()
var Y = &graph.Vertex{} // want
var z = graph.Make()
const C = graph.Zero // want
func L(graph struct{ Vertex int }) int { return graph.Vertex }
`
	clean := strings.ReplaceAll(source, " // want", "")
	return []plant{{rule: "public-api", name: "mentions", files: map[string]string{
		"stream/a.go": source, "stream/a_test.go": clean, "examples/x/a.go": clean,
		"internal/operator/a.go": clean,
		"cmd/leat/a.go":          strings.Replace(clean, "package p", "package main", 1),
	}}}
}

func dependencyPlants() []plant {
	goMod := "module m\nrequire a.org/one v1.0.0\nrequire (\n\ta.org/two v1.0.0\n" +
		"\ta.org/three v1.0.0 // indirect\n\ta.org/four/v2 v2.0.0\n\ta.org/one/sub v1.0.0 // indirect\n)\n"
	return []plant{{rule: "dependency-reason", name: "reasons",
		want: []string{"go.mod:4", "go.mod:6"},
		files: map[string]string{
			"go.mod": goMod,
			"docs/dependencies.md": "- `a.org/one`: read by all of us.\n- `a.org/four/v2`:\n" +
				"- `a.org/twofold`: is another one.\n",
			"a/a.go": "package a\nimport (\n\"fmt\"\n_ \"a.org/one/x\"\n_ \"a.org/three/y\" // want\n" +
				"_ \"a.org/one/sub\" // want\n_ \"b.org/none\" // want\n)\n",
		}}}
}

// Goal: every rule is able to fail, at the right line, and leaves alone what it should.
// Method: small repositories with planted breaches; the findings must be the marked lines exactly.
func TestPlanted(t *testing.T) {
	plants := slices.Concat(sourcePlants(), layerPlants(), sizePlants(), callPlants(), apiPlants(),
		dependencyPlants())
	planted := make(map[string]bool)
	for _, p := range plants {
		planted[p.rule] = true
		t.Run(p.rule+"/"+p.name, func(t *testing.T) { p.check(t) })
	}
	for _, rule := range Rules() {
		if !planted[rule.Name] {
			t.Errorf("no plant proves that rule %s can fail", rule.Name)
		}
	}
}

func (p plant) check(t *testing.T) {
	if _, ok := p.files["layers.txt"]; !ok {
		p.files["layers.txt"] = plantedLayers
	}
	var found []Finding
	for _, rule := range Rules() {
		if rule.Name == p.rule {
			found = rule.Check(Parse(p.files))
		}
	}
	var got []string
	for _, f := range found {
		if f.What == "" {
			t.Errorf("a finding at %s:%d says nothing", f.Path, f.Line)
		}
		got = append(got, fmt.Sprintf("%s:%d", f.Path, f.Line))
	}
	want := p.marked()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("rule %s found:\n%s\nwant:\n%s", p.rule, strings.Join(got, "\n"),
			strings.Join(want, "\n"))
	}
}

// marked returns the expected findings, sorted, one per word "want".
func (p plant) marked() []string {
	want := slices.Clone(p.want)
	for name, text := range p.files {
		number := 0
		for line := range strings.Lines(text) {
			number++
			_, marks, _ := strings.Cut(line, "// want")
			if strings.Contains(line, "// want") {
				for range 1 + strings.Count(marks, "want") {
					want = append(want, fmt.Sprintf("%s:%d", name, number))
				}
			}
		}
	}
	slices.Sort(want)
	return want
}
