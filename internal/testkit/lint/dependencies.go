package lint

import (
	"fmt"
	"strings"
)

// dependencyRules are about other people's modules.
func dependencyRules() []Rule {
	return []Rule{{
		Name:    "dependency-reason",
		Says:    "every module we require or import has its line of reason in docs/dependencies.md",
		Instead: "add \"- `module/path`: why, and who uses it\" there, or do without the module",
		Check:   dependencyReasons,
	}}
}

func dependencyReasons(t *Tree) []Finding {
	required := parseRequirements(t.GoMod)
	var found []Finding
	reasoned := make(map[string]bool)
	for _, r := range required {
		reasoned[r.module] = hasReason(t.Dependencies, r.module)
		if r.direct && !reasoned[r.module] {
			what := fmt.Sprintf("module %s has no line in docs/dependencies.md", r.module)
			found = append(found, Finding{"go.mod", r.line, what})
		}
	}
	// go.mod may call a module indirect long after it is imported; the imports do not lie.
	return append(found, t.eachFile(func(f *File) []Finding {
		var found []Finding
		for _, spec := range f.Imports {
			importPath := importPathOf(spec)
			if _, ours := folderOf(importPath); ours || isStandard(importPath) {
				continue
			}
			if module := moduleOf(required, importPath); !reasoned[module] {
				found = append(found, t.at(f, spec.Pos(),
					"import %s of module %q, which has no line in docs/dependencies.md",
					importPath, module))
			}
		}
		return found
	})...)
}

// requirement is one module of go.mod.
type requirement struct {
	module string
	line   int
	direct bool
}

// parseRequirements reads the require lines of go.mod, in blocks or alone.
func parseRequirements(text string) []requirement {
	var required []requirement
	inBlock := false
	number := 0
	for line := range strings.Lines(text) {
		number++
		code, comment, _ := strings.Cut(strings.TrimSpace(line), "//")
		fields := strings.Fields(code)
		switch {
		case len(fields) == 0:
			continue
		case fields[0] == ")":
			inBlock = false
			continue
		case fields[0] == "require" && len(fields) > 1 && fields[1] == "(":
			inBlock = true
			continue
		case fields[0] == "require":
			fields = fields[1:]
		case !inBlock:
			continue
		}
		direct := strings.TrimSpace(comment) != "indirect"
		required = append(required, requirement{fields[0], number, direct})
	}
	return required
}

// moduleOf returns the required module with the longest path that holds the package, or "".
func moduleOf(required []requirement, importPath string) string {
	longest := ""
	for _, r := range required {
		inside := importPath == r.module || strings.HasPrefix(importPath, r.module+"/")
		if inside && len(r.module) > len(longest) {
			longest = r.module
		}
	}
	return longest
}

// hasReason reports whether a line of the document names the module in back quotes and goes on
// with a reason.
func hasReason(document, module string) bool {
	for line := range strings.Lines(document) {
		_, reason, ok := strings.Cut(line, "`"+module+"`")
		if ok && len(strings.Fields(reason)) >= 3 {
			return true
		}
	}
	return false
}
