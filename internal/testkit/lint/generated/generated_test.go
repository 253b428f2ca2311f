// Package generated checks that the committed generated code is what its sources say. It has tests
// only, apart from package lint because it links what it checks.
package generated

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	_ "github.com/leat-io/leat/internal/protocol"
)

// root is the root of the repository, seen from this folder.
const root = "../../../.."

// Goal: no .proto file was changed without make gen. Method: compile each .proto file here, without
// protoc, and compare its descriptor with the one in the linked Go package.
func TestProtobufIsFresh(t *testing.T) {
	names := protoFiles(t)
	if len(names) == 0 {
		t.Fatal("no .proto file found")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			linked, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if err != nil {
				t.Fatalf("no linked package was generated from it (%v): import the package in "+
					"this test, and run make gen", err)
			}
			want := compile(t, name)
			if diff := difference(want, linked); diff != "" {
				t.Errorf("the generated code is stale, run make gen (-source +generated):\n%s", diff)
			}
		})
	}
}

// Goal: the comparison can fail. Method: compare two different files.
func TestDifferenceIsSeen(t *testing.T) {
	names := protoFiles(t)
	if len(names) < 2 {
		t.Fatal("there are not two .proto files to compare")
	}
	if difference(compile(t, names[0]), compile(t, names[1])) == "" {
		t.Errorf("%s and %s are found equal", names[0], names[1])
	}
}

func difference(a, b protoreflect.FileDescriptor) string {
	return cmp.Diff(protodesc.ToFileDescriptorProto(a), protodesc.ToFileDescriptorProto(b),
		protocmp.Transform())
}

func compile(t *testing.T, name string) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{root}})}
	files, err := compiler.Compile(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// protoFiles returns the paths of all .proto files below the root, sorted.
func protoFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && strings.HasPrefix(filepath.Base(name), ".")
		if entry.IsDir() && (hidden || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".proto") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
