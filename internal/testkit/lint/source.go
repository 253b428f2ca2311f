package lint

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// sourceRules are about files and packages as such.
func sourceRules() []Rule {
	return []Rule{{
		Name:    "parses",
		Says:    "every Go file parses",
		Instead: "correct the syntax",
		Check:   func(t *Tree) []Finding { return t.Broken },
	}, {
		Name: "package-comment",
		Says: "a package opens with its purpose, main types, limits, life cycle, who may call it",
		Instead: "write `// Package <name> ...` above the package clause of doc.go or the main " +
			"file (`// Command <name> ...` for a program)",
		Check: packageComments,
	}, {
		Name: "package-name",
		Says: "a package is one noun of the glossary, not a drawer",
		Instead: "name what the package holds; the words manager (but for jobmanager, " +
			"taskmanager, resourcemanager), helper, util, common, misc, data, info, node, event, " +
			"epoch, worker and process are not names",
		Check: packageNames,
	}, {
		Name: "leak-check",
		Says: "a package that starts goroutines has tests which fail when one is left",
		Instead: "func TestMain(m *testing.M) { leaktest.Main(m) }, with leaktest from " +
			"internal/base/lifecycle",
		Check: leakChecks,
	}}
}

func leakChecks(t *Tree) []Finding {
	const lifecycle = ModulePath + "/internal/base/lifecycle"
	var found []Finding
	for _, p := range t.Packages {
		var starts *File
		var checked bool
		for _, f := range p.Files {
			if f.Test {
				checked = checked || f.imports(lifecycle+"/leaktest")
			} else if f.Name.Name != "main" && f.imports(lifecycle) {
				starts = f
			}
		}
		if starts != nil && !checked {
			found = append(found, t.at(starts, starts.Package,
				"package %s imports lifecycle, and no test of it imports leaktest",
				starts.Name.Name))
		}
	}
	return found
}

func packageComments(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		var first *File
		var doc string
		for _, f := range p.Files {
			if f.Test {
				continue
			}
			if first == nil {
				first = f
			}
			doc += f.Doc.Text()
		}
		if first == nil {
			continue
		}
		name := first.Name.Name
		switch {
		case doc == "":
			found = append(found, t.at(first, first.Package, "package %s has no comment", name))
		case name != "main" && !strings.HasPrefix(doc, "Package "+name+" "):
			found = append(found, t.at(first, first.Package,
				"the comment of package %s does not begin with %q", name, "Package "+name))
		}
	}
	return found
}

var (
	forbiddenParts = []string{"manager", "helper", "util", "common", "misc"}
	forbiddenWords = []string{"data", "info", "node", "event", "epoch", "worker", "process"}
	roleNames      = []string{"jobmanager", "taskmanager", "resourcemanager"}
)

func packageNames(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		f := p.Files[0]
		for _, name := range slices.Compact([]string{path.Base(p.Path), packageName(f.File)}) {
			if isForbiddenName(name) {
				found = append(found, t.at(f, f.Package, "package name %q", name))
			}
		}
	}
	return found
}

func packageName(f *ast.File) string { return strings.TrimSuffix(f.Name.Name, "_test") }

func isForbiddenName(name string) bool {
	if slices.Contains(roleNames, name) {
		return false
	}
	for _, part := range forbiddenParts {
		if strings.Contains(name, part) {
			return true
		}
	}
	return slices.Contains(forbiddenWords, strings.TrimSuffix(name, "s")) ||
		slices.Contains(forbiddenWords, name)
}
