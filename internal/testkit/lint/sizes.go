package lint

import (
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"strings"
	"unicode/utf8"
)

// Limits of size.
const (
	maxFileLines         = 800
	maxFunctionLines     = 70
	maxTestFunctionLines = 120 // tables of cases live in test functions
	maxParameters        = 6
	maxColumns           = 100
	tabColumns           = 4
	// longLiteral is the length of a string literal from which on a test's line may be longer.
	longLiteral = 40
)

// sizeRules keep files and functions readable.
func sizeRules() []Rule {
	return []Rule{{
		Name:    "file-size",
		Says:    fmt.Sprintf("a file has at most %d lines, and should have 400", maxFileLines),
		Instead: "split the file by decision: one noun or one state per file",
		Check:   fileSizes,
	}, {
		Name: "function-size",
		Says: fmt.Sprintf("a function has at most %d lines, %d in tests", maxFunctionLines,
			maxTestFunctionLines),
		Instead: "keep the branching here, move the straight work into named functions",
		Check:   functionSizes,
	}, {
		Name:    "parameters",
		Says:    fmt.Sprintf("a function has at most %d parameters", maxParameters),
		Instead: "make a struct of those that belong together",
		Check:   parameterCounts,
	}, {
		Name: "line-length",
		Says: fmt.Sprintf("a line has at most %d columns, a tab counts %d", maxColumns,
			tabColumns),
		Instead: "break the line",
		Check:   lineLengths,
	}}
}

func fileSizes(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		if lines := strings.Count(f.Source, "\n"); lines > maxFileLines {
			return []Finding{{f.Path, maxFileLines + 1, fmt.Sprintf("%d lines", lines)}}
		}
		return nil
	})
}

func functionSizes(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		limit := maxFunctionLines
		if f.Test {
			limit = maxTestFunctionLines
		}
		var found []Finding
		check := func(name string, n ast.Node) {
			lines := t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
			if lines > limit {
				found = append(found, t.at(f, n.Pos(), "%s has %d lines", name, lines))
			}
		}
		for _, decl := range f.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok {
				// Type and body: the comment above does not count.
				check("function "+function.Name.Name, functionWithoutComment{function})
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if literal, ok := n.(*ast.FuncLit); ok {
					check("function literal", literal)
				}
				return true
			})
		}
		return found
	})
}

// functionWithoutComment is a declaration from the word func to its end.
type functionWithoutComment struct{ *ast.FuncDecl }

// Pos returns the position of the word func.
func (f functionWithoutComment) Pos() token.Pos { return f.Type.Func }

func parameterCounts(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		var found []Finding
		free := map[*ast.FuncType]bool{}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if literal, ok := n.(*ast.FuncLit); ok && f.Test {
				// A fuzz target's parameters are its input, as many as that takes.
				free[literal.Type] = true
			}
			signature, ok := n.(*ast.FuncType)
			if ok && !free[signature] && signature.Params.NumFields() > maxParameters {
				found = append(found, t.at(f, signature.Pos(), "%d parameters",
					signature.Params.NumFields()))
			}
			return true
		})
		return found
	})
}

func lineLengths(t *Tree) []Finding {
	return t.eachFile(func(f *File) []Finding {
		var found []Finding
		var free map[int]bool
		number := 0
		for line := range strings.Lines(f.Source) {
			number++
			columns := columnsOf(strings.TrimRight(line, "\r\n"))
			if columns <= maxColumns || isUnbreakable(line) {
				continue
			}
			if f.Test && free == nil {
				free = literalLines(f.Source)
			}
			if !free[number] {
				found = append(found, Finding{f.Path, number, fmt.Sprintf("%d columns", columns)})
			}
		}
		return found
	})
}

func columnsOf(line string) int {
	return utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
}

// isUnbreakable reports whether a line cannot be broken: a directive, or a comment that is one URL.
func isUnbreakable(line string) bool {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "//go:") {
		return true
	}
	comment, ok := strings.CutPrefix(line, "//")
	return ok && strings.Contains(comment, "://") && len(strings.Fields(comment)) == 1
}

// literalLines returns the lines touched by long string literals.
func literalLines(source string) map[int]bool {
	lines := make(map[int]bool)
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, []byte(source), nil, 0)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if tok != token.STRING || len(literal) < longLiteral {
			continue
		}
		first := file.Line(pos)
		for line := first; line <= first+strings.Count(literal, "\n"); line++ {
			lines[line] = true
		}
	}
}
