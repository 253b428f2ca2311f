// Package lint reads the repository's own source and reports what breaks the rules of the house:
// import layers, sizes, package comments, calls made outside their homes, public API that mentions
// internal packages, dependencies without a reason.
//
// A [Tree] is the parsed source, from disk or, to prove that a rule can fail, from planted text. A
// [Rule] looks at a tree and returns a [Finding] for each breach, which names the place and what
// to write instead. [Rules] lists them all; the tests of this package run them. Checks are
// syntactic: no type information, no external program, every file whatever its build tags.
//
// A Tree is not changed after loading and may be used from any goroutine.
package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ModulePath is the import path of the repository's root.
const ModulePath = "github.com/leat-io/leat"

// Tree is the source of the repository.
type Tree struct {
	Fset     *token.FileSet
	Packages []*Package // sorted by Path
	Broken   []Finding  // files which do not parse
	// Layers, GoMod and Dependencies are the texts of layers.txt, go.mod and
	// docs/dependencies.md; empty when missing.
	Layers, GoMod, Dependencies string
}

// Package is one folder with Go files.
type Package struct {
	Path  string  // folder below the root, "." for the root itself
	Files []*File // sorted by Path
}

// File is one parsed Go file.
type File struct {
	*ast.File
	Path      string // below the root
	Source    string
	Test      bool // *_test.go
	Generated bool // by name or by its first comment: style rules do not apply
	pkg       *Package
	names     map[string]string // local name of an import -> import path
}

// Finding is one breach of a rule.
type Finding struct {
	Path string // file below the root
	Line int    // 1-based
	What string // what is wrong there
}

// Rule is one rule of the house.
type Rule struct {
	Name    string // words joined by dashes; names the subtest that runs the rule
	Says    string // the rule, as a sentence
	Instead string // what to write instead
	Check   func(t *Tree) []Finding
}

// Report prints the findings of the rule, one place and breach a line, then the rule and what to
// write instead. Without findings it returns "".
func (r Rule) Report(found []Finding) string {
	if len(found) == 0 {
		return ""
	}
	var text strings.Builder
	for _, f := range found {
		fmt.Fprintf(&text, "%s:%d: %s\n", f.Path, f.Line, f.What)
	}
	fmt.Fprintf(&text, "rule:    %s\ninstead: %s", r.Says, r.Instead)
	return text.String()
}

// Rules returns all rules.
func Rules() []Rule {
	return slices.Concat(sourceRules(), layerRules(), sizeRules(), callRules(), apiRules(),
		dependencyRules())
}

// Load parses the repository in root: all Go files except those below testdata, folders with a
// leading dot or underscore, and other modules.
func Load(root fs.FS) (*Tree, error) {
	files := make(map[string]string)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && skipped(root, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") && !isConfiguration(name) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lint: read the repository: %w", err)
	}
	return Parse(files), nil
}

func isConfiguration(name string) bool {
	return name == "layers.txt" || name == "go.mod" || name == "docs/dependencies.md"
}

func skipped(root fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

// Parse makes a tree of files given as text by their path below the root.
func Parse(files map[string]string) *Tree {
	t := &Tree{Fset: token.NewFileSet(), Layers: files["layers.txt"], GoMod: files["go.mod"],
		Dependencies: files["docs/dependencies.md"]}
	packages := make(map[string]*Package)
	for _, name := range sortedKeys(files) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		file, err := t.parseFile(name, files[name])
		if err != nil {
			t.Broken = append(t.Broken, Finding{name, 1, err.Error()})
			continue
		}
		dir := path.Dir(name)
		if packages[dir] == nil {
			packages[dir] = &Package{Path: dir}
		}
		file.pkg = packages[dir]
		file.pkg.Files = append(file.pkg.Files, file)
	}
	for _, dir := range sortedKeys(packages) {
		t.Packages = append(t.Packages, packages[dir])
	}
	return t
}

func (t *Tree) parseFile(name, source string) (*File, error) {
	parsed, err := parser.ParseFile(t.Fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	file := &File{
		File:   parsed,
		Path:   name,
		Source: source,
		Test:   strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(parsed) || strings.HasSuffix(name, "_gen.go") ||
			strings.HasSuffix(name, ".pb.go"),
		names: make(map[string]string),
	}
	for _, spec := range parsed.Imports {
		importPath := importPathOf(spec)
		local := importName(importPath)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		file.names[local] = importPath
	}
	return file, nil
}

// importName guesses the package name from an import path: its last element, or the one before
// when the last is a major version.
func importName(importPath string) string {
	base := path.Base(importPath)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(importPath))
	}
	return base
}

func importPathOf(spec *ast.ImportSpec) string {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return importPath
}

// folderOf returns the folder of a package of this module, and whether it is one.
func folderOf(importPath string) (string, bool) {
	if importPath == ModulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, ModulePath+"/")
}

// isStandard reports whether the import path belongs to the standard library: its first element
// has no dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// selected returns the import path and name of a selector on an imported package, such as time and
// Now; ok is false for every other selector. Locals that hide an import are told apart.
func (f *File) selected(selector *ast.SelectorExpr) (importPath, name string, ok bool) {
	ident, isIdent := selector.X.(*ast.Ident)
	if !isIdent || ident.Obj != nil {
		return "", "", false
	}
	importPath, ok = f.names[ident.Name]
	return importPath, selector.Sel.Name, ok
}

// imports reports whether the file imports the package.
func (f *File) imports(importPath string) bool {
	return slices.ContainsFunc(f.Imports, func(spec *ast.ImportSpec) bool {
		return importPathOf(spec) == importPath
	})
}

// at makes a finding at a position of the file.
func (t *Tree) at(f *File, pos token.Pos, format string, args ...any) Finding {
	// The line of the file itself, whatever line directives say.
	line := t.Fset.PositionFor(pos, false).Line
	return Finding{Path: f.Path, Line: line, What: fmt.Sprintf(format, args...)}
}

// eachFile calls check for every file written by hand and returns all findings.
func (t *Tree) eachFile(check func(f *File) []Finding) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !f.Generated {
				found = append(found, check(f)...)
			}
		}
	}
	return found
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
