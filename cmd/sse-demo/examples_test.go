package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	isFormatted = "is called by fmt"
	oneLine     = "returns one value; its comment says all"
)

// withoutExample are exported functions and methods that no example shows, and why.
var withoutExample = map[string]string{
	"pubsub.Subscription.Behind": "is called by package sse",
	"sse.Fault.String":           isFormatted,
}

// TestExamples: every exported function and method of the packages that are to be
// copied is used in an example of its package, or has a reason not to be. Types are
// shown by the functions that return or take them.
func TestExamples(t *testing.T) {
	for _, folder := range []string{"sse", "pubsub", "pubsub/redisbroker", "sse/eventloop"} {
		shown := map[string]bool{}
		var exported []string
		paths, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case !strings.HasSuffix(path, "_test.go"):
				exported = append(exported, exportedNames(file)...)
			case strings.HasSuffix(filepath.Base(path), "example_test.go"):
				ast.Inspect(file, func(n ast.Node) bool {
					if use, ok := n.(*ast.SelectorExpr); ok {
						shown[use.Sel.Name] = true
					}
					return true
				})
			}
		}
		slices.Sort(exported)
		for _, name := range slices.Compact(exported) {
			last := name[strings.LastIndex(name, ".")+1:]
			full := folder + "." + name
			if shown[last] == (withoutExample[full] != "") {
				t.Errorf("%s: shown in an example is %v, and the reason not to be is %q", full, shown[last], withoutExample[full])
			}
		}
	}
}

// exportedNames are the functions of a file, and its methods as Type.Method.
func exportedNames(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		d, isFunc := declaration.(*ast.FuncDecl)
		if !isFunc || !d.Name.IsExported() {
			continue
		}
		name := d.Name.Name
		if d.Recv != nil {
			of := d.Recv.List[0].Type
			if pointer, ok := of.(*ast.StarExpr); ok {
				of = pointer.X
			}
			receiver, ok := of.(*ast.Ident)
			if !ok || !receiver.IsExported() {
				continue
			}
			name = receiver.Name + "." + name
		}
		names = append(names, name)
	}
	return names
}
