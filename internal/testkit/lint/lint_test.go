package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository returns the root of the repository, found from the folder of this test.
func repository(t *testing.T) fs.FS {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(text), "module "+ModulePath+"\n") {
			return os.DirFS(dir)
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod of %s above the test", ModulePath)
		}
		dir = filepath.Dir(dir)
	}
}

// Goal: the repository keeps every rule of the house. Method: one subtest per rule reads all Go
// files; its message names the places, the rule and what to write instead.
func TestRepository(t *testing.T) {
	tree, err := Load(repository(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) == 0 || tree.Layers == "" || tree.GoMod == "" {
		t.Fatal("the repository was not read")
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			if report := rule.Report(rule.Check(tree)); report != "" {
				t.Errorf("\n%s", report)
			}
		})
	}
}

// Goal: a report says all a reader needs. Method: compare one.
func TestReport(t *testing.T) {
	rule := Rule{Name: "r", Says: "do", Instead: "this"}
	got := rule.Report([]Finding{{"a/b.go", 3, "wrong"}, {"a/c.go", 4, "bad"}})
	want := "a/b.go:3: wrong\na/c.go:4: bad\nrule:    do\ninstead: this"
	if got != want {
		t.Errorf("report %q, want %q", got, want)
	}
	if got := rule.Report(nil); got != "" {
		t.Errorf("report %q without findings", got)
	}
}

// Goal: a file tree is read as the go command reads it. Method: a tree with testdata, hidden
// folders and a second module beside real files.
func TestLoadSkipsWhatIsNotTheModule(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "layers.txt", "a/a.go", "a/testdata/x.go", ".b/b.go",
		"_c/c.go", "kube/go.mod", "kube/k.go", "docs/readme.md"} {
		text := "package " + strings.TrimSuffix(filepath.Base(name), ".go") + "\n"
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) != 1 || tree.Packages[0].Path != "a" || tree.GoMod == "" {
		t.Errorf("read %d packages, go.mod %q", len(tree.Packages), tree.GoMod)
	}
}

// Goal: a line of layers.txt that cannot be read is reported, never ignored.
// Method: one broken line of each sort.
func TestBrokenLayersAreReported(t *testing.T) {
	text := "layer\nlayer x a\nlayer -1 a\nedge a b\ndeny a ->\nfoo a\nlayer 1 a # not a pattern\n"
	var got []string
	for _, found := range parseLayers(text).faults {
		got = append(got, fmt.Sprintf("%d: %s", found.Line, found.What))
	}
	want := []string{"1: want: layer N P...", `2: layer "x" is not a number`,
		`3: layer "-1" is not a number`, "4: want: P -> Q...", "5: want: P -> Q...",
		`6: unknown word "foo"`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
