package lint

import (
	"go/ast"
	"slices"
	"strings"
)

// apiRules are about what users of the public packages see.
func apiRules() []Rule {
	return []Rule{{
		Name: "public-api",
		Says: "the exported API of a public package mentions only public packages and the " +
			"standard library",
		Instead: "declare the type in a public package, or hide it behind an unexported field " +
			"or a public interface; give an exported variable its type (var ErrX error = ...)",
		Check: publicAPI,
	}}
}

// unpublished are folders outside internal which nobody imports.
var unpublished = []string{"cmd/...", "examples/...", "bench/...", "interop/..."}

func publicAPI(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if f.Test || f.Name.Name == "main" || f.isAt(unpublished) || isInternal(f.pkg.Path) {
			return nil
		}
		var found []Finding
		for _, exposed := range exposedBy(f.File) {
			found = append(found, t.mentions(f, exposed)...)
		}
		return found
	})
}

func isInternal(path string) bool {
	return slices.Contains(strings.Split(path, "/"), "internal")
}

// isForeign reports whether a public API must not mention the package: ours and internal, or
// third-party.
func isForeign(importPath string) bool {
	if folder, ours := folderOf(importPath); ours {
		return isInternal(folder)
	}
	return !isStandard(importPath)
}

// mentions reports the foreign packages named in an exposed piece of syntax.
func (t *Tree) mentions(f *File, exposed ast.Node) []Finding {
	var found []Finding
	ast.Inspect(exposed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.BlockStmt:
			return false // a body exposes nothing
		case *ast.SelectorExpr:
			importPath, name, ok := f.selected(n)
			if ok && isForeign(importPath) {
				found = append(found, t.at(f, n.Pos(), "exported API mentions %s.%s", importPath,
					name))
			}
		}
		return true
	})
	return found
}

// exposedBy returns the syntax of a file which users of its package see: signatures, exported
// fields, embedded types, interface methods, types of exported variables and constants.
func exposedBy(f *ast.File) []ast.Node {
	var exposed []ast.Node
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() && (decl.Recv == nil || isExportedReceiver(decl.Recv)) {
				exposed = append(exposed, decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				exposed = append(exposed, exposedBySpec(spec)...)
			}
		}
	}
	return exposed
}

func isExportedReceiver(receiver *ast.FieldList) bool {
	if len(receiver.List) == 0 {
		return false
	}
	expr := receiver.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

func exposedBySpec(spec ast.Spec) []ast.Node {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			exposed := exposedByType(spec.Type)
			if spec.TypeParams != nil {
				exposed = append(exposed, spec.TypeParams)
			}
			return exposed
		}
	case *ast.ValueSpec:
		if !slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) {
			return nil
		}
		if spec.Type != nil {
			return []ast.Node{spec.Type}
		}
		return exposedByValues(spec.Values)
	}
	return nil
}

// exposedByType leaves out the unexported fields of a struct, also of one that is the type of a
// field, and the unexported methods of an interface.
func exposedByType(expr ast.Expr) []ast.Node {
	var members *ast.FieldList
	switch expr := expr.(type) {
	case *ast.StructType:
		members = expr.Fields
	case *ast.InterfaceType:
		members = expr.Methods
	default:
		return []ast.Node{expr}
	}
	var exposed []ast.Node
	for _, field := range members.List {
		embedded := len(field.Names) == 0
		if embedded || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
			exposed = append(exposed, exposedByType(field.Type)...)
		}
	}
	return exposed
}

// exposedByValues returns what names the type of values without a written one: the function called
// or the literal's type. Arguments and elements expose nothing.
func exposedByValues(values []ast.Expr) []ast.Node {
	var exposed []ast.Node
	for _, value := range values {
		if address, ok := value.(*ast.UnaryExpr); ok {
			value = address.X
		}
		switch value := value.(type) {
		case *ast.CallExpr:
			exposed = append(exposed, exposedByCall(value))
		case *ast.CompositeLit:
			if value.Type != nil {
				exposed = append(exposed, value.Type)
			}
		case *ast.SelectorExpr:
			exposed = append(exposed, value)
		}
	}
	return exposed
}

// exposedByCall returns the conversion's or the called function's name. A method call is resolved
// by nobody here and counts as the call it hangs on.
func exposedByCall(call *ast.CallExpr) ast.Node { return call.Fun }
