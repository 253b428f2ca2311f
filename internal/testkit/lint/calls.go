package lint

import (
	"go/ast"
	"slices"
	"strings"
)

// Packages in which nearly every call is at home: programs and test gear.
var programs = []string{
	"app/...", "cmd/...", "examples/...", "bench/...", "interop/...", "internal/testkit/...",
}

// callRules keep calls in their homes.
func callRules() []Rule {
	return slices.Concat(selectorRules(), []Rule{{
		Name:    "go-statement",
		Says:    "goroutines have an owner: go is written in internal/base/lifecycle only",
		Instead: "lifecycle.NewGroup(ctx, name), group.Go(name, f), Stop and Wait; also in tests",
		Check:   goStatements,
	}, {
		Name: "panic-call",
		Says: "panic is for broken invariants only",
		Instead: "return an error; for what only a bug can break, invariant.Check or " +
			"invariant.Fail",
		Check: panicCalls,
	}, {
		Name:    "must-function",
		Says:    "no Must function outside tests and package initialisation",
		Instead: "return the error",
		Check:   mustFunctions,
	}})
}

// selectorRules are about names of the standard library.
func selectorRules() []Rule {
	return []Rule{{
		Name:    "time-of-day",
		Says:    "the time is passed in: package time is read in internal/base only",
		Instead: "a clock.Clock passed to the constructor; clock.Sleep, clock.Monotonic",
		Check: func(t *Tree) []Finding {
			homes := []string{"internal/base/..."}
			return t.selectorsOutside(slices.Concat(programs, homes), isTimeOfDay)
		},
	}, {
		Name: "sleep-in-test",
		Says: "a test waits for what happens, not for time",
		Instead: "clock.Manual, testing/synctest (its Sleep is fake time and allowed), or wait " +
			"on a channel",
		Check: sleepsInTests,
	}, {
		Name:    "random-global",
		Says:    "randomness is passed in",
		Instead: "rand.New(rand.NewPCG(seed, stream)) made by the caller from a seed it can print",
		Check: func(t *Tree) []Finding {
			homes := []string{"internal/base/..."}
			return t.selectorsOutside(slices.Concat(programs, homes), isRandomGlobal)
		},
	}, {
		Name:    "file-call",
		Says:    "files are reached through filesystem; os file calls stay in filesystem/local",
		Instead: "a filesystem store given to the constructor",
		Check: func(t *Tree) []Finding {
			homes := []string{"internal/base/...", "filesystem/local/..."}
			return t.selectorsOutside(slices.Concat(programs, homes), isFileCall)
		},
	}}
}

// selectorsOutside reports the banned names used by hand-written code outside tests and homes.
func (t *Tree) selectorsOutside(homes []string, banned func(path, name string) bool) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if f.Test || f.isAt(homes) {
			return nil
		}
		return t.selectors(f, banned)
	})
}

func (t *Tree) selectors(f *File, banned func(path, name string) bool) []Finding {
	var found []Finding
	ast.Inspect(f.File, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			importPath, name, ok := f.selected(selector)
			if ok && banned(importPath, name) {
				found = append(found, t.at(f, n.Pos(), "%s.%s", importPath, name))
			}
		}
		return true
	})
	return found
}

// isAt reports whether the file's package is named by one of the patterns.
func (f *File) isAt(patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, f.pkg.Path) })
}

func isTimeOfDay(path, name string) bool {
	names := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer",
		"NewTicker"}
	return path == "time" && slices.Contains(names, name)
}

func isRandomGlobal(path, name string) bool {
	allowed := []string{"New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8", "Rand", "Source",
		"Source64", "Zipf", "PCG", "ChaCha8"}
	return (path == "math/rand" || path == "math/rand/v2") && !slices.Contains(allowed, name)
}

var fileCalls = map[string][]string{
	"os": {
		"Chdir", "Chmod", "Chown", "Chtimes", "CopyFS", "Create", "CreateTemp", "DirFS", "Lchown",
		"Link", "Lstat", "Mkdir", "MkdirAll", "MkdirTemp", "Open", "OpenFile", "OpenInRoot",
		"OpenRoot", "ReadDir", "ReadFile", "Readlink", "Remove", "RemoveAll", "Rename", "Stat",
		"Symlink", "Truncate", "WriteFile",
	},
	"path/filepath": {"EvalSymlinks", "Glob", "Walk", "WalkDir"},
}

func isFileCall(path, name string) bool {
	return path == "io/ioutil" || slices.Contains(fileCalls[path], name)
}

func sleepsInTests(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if !f.Test || f.imports("testing/synctest") {
			return nil
		}
		return t.selectors(f, func(path, name string) bool {
			return path == "time" && name == "Sleep"
		})
	})
}

func goStatements(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if f.isAt([]string{"internal/base/lifecycle"}) {
			return nil
		}
		var found []Finding
		ast.Inspect(f.File, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				found = append(found, t.at(f, n.Pos(), "go statement"))
			}
			return true
		})
		return found
	})
}

func panicCalls(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if f.Test || f.isAt([]string{"internal/base/invariant"}) {
			return nil
		}
		var found []Finding
		ast.Inspect(f.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				ident, ok := call.Fun.(*ast.Ident)
				if ok && ident.Name == "panic" && ident.Obj == nil {
					found = append(found, t.at(f, n.Pos(), "call of panic"))
				}
			}
			return true
		})
		return found
	})
}

func mustFunctions(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if f.Test {
			return nil
		}
		var found []Finding
		for _, decl := range f.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || function.Name.Name == "init" {
				continue
			}
			if isMust(function.Name.Name) {
				found = append(found, t.at(f, function.Pos(), "declares %s", function.Name.Name))
			}
			if function.Body != nil {
				found = append(found, t.mustCalls(f, function.Body)...)
			}
		}
		return found
	})
}

func (t *Tree) mustCalls(f *File, body *ast.BlockStmt) []Finding {
	var found []Finding
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		var name string
		switch function := call.Fun.(type) {
		case *ast.Ident:
			name = function.Name
		case *ast.SelectorExpr:
			name = function.Sel.Name
		}
		if isMust(name) {
			found = append(found, t.at(f, call.Pos(), "calls %s", name))
		}
		return true
	})
	return found
}

// isMust reports whether the name is Must or begins with Must as a word.
func isMust(name string) bool {
	rest, ok := strings.CutPrefix(name, "Must")
	return ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z')
}
