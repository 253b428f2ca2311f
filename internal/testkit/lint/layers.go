package lint

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Classes of packages besides the numbered layers.
const (
	classPlugin  = -1
	classKit     = -2
	classTestkit = -3
)

// Layers from which on, and up to which, a plug-in is seen and sees.
const (
	lowestPluginUser     = 6
	highestPluginImports = 2
)

// layerTable is layers.txt.
type layerTable struct {
	classes []patternClass
	edges   []edge
	denies  []edge
	excepts []edge
	stdlib  []string
	faults  []Finding // lines which cannot be read
}

type patternClass struct {
	pattern string
	class   int // layer, or one of the class constants
}

type edge struct{ from, to string }

// parseLayers reads the text of layers.txt, whose head explains the lines.
func parseLayers(text string) *layerTable {
	table := &layerTable{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := table.addLine(fields[0], fields[1:]); err != nil {
			table.faults = append(table.faults, Finding{"layers.txt", number, err.Error()})
		}
	}
	return table
}

func (l *layerTable) addLine(verb string, words []string) error {
	switch verb {
	case "layer":
		if len(words) < 2 {
			return fmt.Errorf("want: layer N P...")
		}
		layer, err := strconv.Atoi(words[0])
		if err != nil || layer < 0 {
			return fmt.Errorf("layer %q is not a number", words[0])
		}
		l.addClasses(layer, words[1:])
	case "plug-in":
		l.addClasses(classPlugin, words)
	case "kit":
		l.addClasses(classKit, words)
	case "testkit":
		l.addClasses(classTestkit, words)
	case "stdlib":
		l.stdlib = append(l.stdlib, words...)
	case "edge":
		return addEdges(&l.edges, words)
	case "deny":
		return addEdges(&l.denies, words)
	case "except":
		return addEdges(&l.excepts, words)
	default:
		return fmt.Errorf("unknown word %q", verb)
	}
	return nil
}

func (l *layerTable) addClasses(class int, patterns []string) {
	for _, pattern := range patterns {
		l.classes = append(l.classes, patternClass{pattern, class})
	}
}

func addEdges(edges *[]edge, words []string) error {
	if len(words) < 3 || words[1] != "->" {
		return fmt.Errorf("want: P -> Q...")
	}
	for _, to := range words[2:] {
		*edges = append(*edges, edge{words[0], to})
	}
	return nil
}

// matches reports whether the folder is named by the pattern.
func matches(pattern, folder string) bool {
	below, isTree := strings.CutSuffix(pattern, "/...")
	if !isTree {
		return pattern == folder
	}
	return folder == below || strings.HasPrefix(folder, below+"/")
}

// classOf returns the class the longest matching pattern gives the folder. An exact pattern wins
// over a tree of the same folder.
func (l *layerTable) classOf(folder string) (class int, ok bool) {
	match, ok := l.match(folder)
	return match.class, ok
}

func (l *layerTable) match(folder string) (match patternClass, ok bool) {
	longest := -1
	for _, c := range l.classes {
		if !matches(c.pattern, folder) {
			continue
		}
		length := 2*len(strings.TrimSuffix(c.pattern, "/...")) + 1
		if strings.HasSuffix(c.pattern, "/...") {
			length--
		}
		if length > longest {
			longest, match, ok = length, c, true
		}
	}
	return match, ok
}

func contains(edges []edge, from, to string) bool {
	return slices.ContainsFunc(edges, func(e edge) bool {
		return matches(e.from, from) && matches(e.to, to)
	})
}

// refusal returns why a package may not import another of the module, or "".
func (l *layerTable) refusal(from, to string) string {
	if from == to {
		return ""
	}
	importer, known := l.classOf(from)
	imported, knownTo := l.classOf(to)
	if !known || !knownTo {
		return "" // reported once, at the package itself
	}
	if importer == classTestkit {
		return ""
	}
	if imported == classTestkit {
		return "test gear is imported by tests only"
	}
	if imported == classKit && importer != classKit {
		return "a kit is imported by tests and other kits only"
	}
	if contains(l.denies, from, to) && !contains(l.excepts, from, to) {
		return "a deny line forbids it"
	}
	if contains(l.edges, from, to) || imported == classKit {
		return ""
	}
	if importer == classPlugin || importer == classKit {
		return l.refusalForPlugin(from, to, imported)
	}
	return refusalForLayer(importer, imported)
}

func (l *layerTable) refusalForPlugin(from, to string, imported int) string {
	if imported == classPlugin {
		if l.family(from) == l.family(to) {
			return ""
		}
		return "no edge line between these plug-ins"
	}
	if imported > highestPluginImports {
		return fmt.Sprintf("a plug-in or kit sees layers 0 to %d, not layer %d",
			highestPluginImports, imported)
	}
	return ""
}

// family returns the folder of the plug-in a package belongs to, which stands right below the
// contract: connector/delta for connector/delta/log.
func (l *layerTable) family(folder string) string {
	match, _ := l.match(folder)
	contract := strings.TrimSuffix(match.pattern, "/...")
	for folder != contract && path.Dir(folder) != contract {
		folder = path.Dir(folder)
	}
	return folder
}

func refusalForLayer(importer, imported int) string {
	switch {
	case imported == classPlugin && importer < lowestPluginUser:
		return fmt.Sprintf("layer %d does not know plug-ins, layer %d and above do", importer,
			lowestPluginUser)
	case imported == importer:
		return fmt.Sprintf("both are in layer %d and no edge line allows it", importer)
	case imported > importer:
		return fmt.Sprintf("layer %d imports layer %d above it", importer, imported)
	}
	return ""
}

// layerRules are the rules that read layers.txt.
func layerRules() []Rule {
	return []Rule{{
		Name:    "layer-known",
		Says:    "every package has its place in layers.txt",
		Instead: "add the folder to a layer, plug-in, kit or testkit line of layers.txt",
		Check:   layerKnown,
	}, {
		Name: "layer-imports",
		Says: "a package imports lower layers only; same-layer edges are listed in layers.txt",
		Instead: "move the shared noun down to the lower layer, or pass it in through an " +
			"interface declared there; if the design wants the edge, add an edge line to " +
			"layers.txt",
		Check: layerImports,
	}, {
		Name:    "standard-library-only",
		Says:    "packages under a stdlib line of layers.txt import no third-party module",
		Instead: "use the standard library, or move the code to the package that needs the module",
		Check:   standardLibraryOnly,
	}}
}

func layerKnown(t *Tree) []Finding {
	table := parseLayers(t.Layers)
	found := table.faults
	for _, p := range t.Packages {
		if _, ok := table.classOf(p.Path); !ok {
			f := p.Files[0]
			found = append(found, t.at(f, f.Package, "folder %q is in no line of layers.txt",
				p.Path))
		}
	}
	return found
}

func layerImports(t *Tree) []Finding {
	table := parseLayers(t.Layers)
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if f.Test {
				continue
			}
			for _, spec := range f.Imports {
				to, ours := folderOf(importPathOf(spec))
				if !ours {
					continue
				}
				if why := table.refusal(p.Path, to); why != "" {
					found = append(found,
						t.at(f, spec.Pos(), "%s imports %s: %s", p.Path, to, why))
				}
			}
		}
	}
	return found
}

func standardLibraryOnly(t *Tree) []Finding {
	table := parseLayers(t.Layers)
	return t.eachFile(func(f *File) []Finding {
		bound := slices.ContainsFunc(table.stdlib, func(pattern string) bool {
			return matches(pattern, f.pkg.Path)
		})
		if f.Test || !bound {
			return nil
		}
		var found []Finding
		for _, spec := range f.Imports {
			importPath := importPathOf(spec)
			if _, ours := folderOf(importPath); !ours && !isStandard(importPath) {
				found = append(found, t.at(f, spec.Pos(), "%s imports %s", f.pkg.Path, importPath))
			}
		}
		return found
	})
}
