package main

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer is what a package may import: of ours, and of others.
type layer struct {
	ours    []string
	others  []string // module paths; every other import is of the standard library
	program bool     // package main: has a process, and so a clock and an exit code
}

// layers is which way imports point. A package that is not here has no place
// yet: give it one, as low as it goes.
var layers = map[string]layer{
	"provenance":          {},
	"provenance/corpus":   {},
	"provenance/source":   {ours: []string{"provenance", "provenance/corpus"}, others: []string{"golang.org/x/tools", "golang.org/x/text", "github.com/valyala/fastjson"}},
	"provenance/licence":  {},
	"provenance/policy":   {ours: []string{"provenance", "provenance/corpus"}},
	"provenance/declare":  {ours: []string{"provenance", "provenance/corpus", "provenance/inquiry", "provenance/policy"}, others: []string{"go.yaml.in/yaml/v3", "github.com/github/go-spdx"}},
	"provenance/ledger":   {ours: []string{"provenance", "provenance/folder"}, others: []string{"golang.org/x/mod", "golang.org/x/crypto"}},
	"provenance/folder":   {},
	"provenance/inquiry":  {ours: []string{"provenance", "provenance/policy"}},
	"provenance/evidence": {ours: []string{"provenance", "provenance/folder", "provenance/ledger"}, others: []string{"golang.org/x/mod"}},
	"provenance/report":   {ours: []string{"provenance", "provenance/corpus", "provenance/inquiry"}},
	"provenance/capture":  {ours: []string{"provenance", "provenance/source"}},

	"formats":                   {ours: []string{"provenance/corpus"}, others: []string{"github.com/pierrec/lz4/v4", "github.com/andybalholm/brotli", "github.com/parquet-go", "github.com/apache/arrow-go", "github.com/google/flatbuffers", "github.com/google/licensecheck", "github.com/github/go-spdx/v2", "go.yaml.in/yaml/v3", "github.com/klauspost/compress", "github.com/dsnet/compress", "github.com/ulikunitz/xz", "github.com/valyala/fastjson", "golang.org/x/text", "golang.org/x/sys"}},
	"formats/remote":            {ours: []string{"formats"}, others: []string{"gocloud.dev", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "github.com/Azure/azure-sdk-for-go", "golang.org/x/oauth2"}},
	"formats/remote/remotetest": {},
	"formats/clean":             {ours: []string{"formats", "provenance/corpus"}, others: []string{"github.com/parquet-go", "github.com/apache/arrow-go", "github.com/klauspost/compress"}},
	"formats/export":            {ours: []string{"provenance", "provenance/corpus"}, others: []string{"github.com/parquet-go"}},
	"formats/formattest":        {ours: []string{"formats", "provenance/corpus"}, others: []string{"github.com/klauspost/compress", "github.com/ulikunitz/xz", "github.com/parquet-go"}},

	"index":                 {ours: []string{"provenance", "provenance/ledger", "index/segment", "index/table", "index/fingerprint"}, others: []string{"github.com/dgraph-io/badger/v4", "github.com/cespare/xxhash/v2", "github.com/gofrs/flock", "golang.org/x/mod", "golang.org/x/sys"}},
	"index/fingerprint":     {others: []string{"github.com/cespare/xxhash/v2", "golang.org/x/text"}},
	"index/table":           {ours: []string{"index/segment"}, others: []string{"github.com/cespare/xxhash/v2", "github.com/klauspost/compress"}},
	"index/segment":         {ours: []string{"index/fingerprint"}, others: []string{"github.com/cespare/xxhash/v2", "github.com/FastFilter/xorfilter", "golang.org/x/sys"}},
	"index/ordered":         {ours: []string{"provenance/corpus"}},
	"index/ingest":          {ours: []string{"index", "index/fingerprint", "index/ordered", "index/segment", "provenance", "provenance/corpus", "provenance/source"}},
	"index/scan":            {ours: []string{"index", "index/fingerprint", "index/ordered", "index/segment", "index/table", "provenance", "provenance/corpus", "provenance/policy", "provenance/source"}, others: []string{"github.com/cespare/xxhash/v2"}},
	"index/scan/membership": {ours: []string{"formats", "index", "index/fingerprint", "index/ingest", "index/scan", "index/segment", "provenance", "provenance/corpus", "provenance/source"}, others: []string{"github.com/cespare/xxhash/v2"}, program: true},

	"cmd/internal/ui": {others: []string{"golang.org/x/term"}},
	"cmd/custody": {ours: []string{"cmd/internal/ui", "formats", "formats/clean", "formats/export", "formats/remote", "index", "index/fingerprint", "index/ingest", "index/scan", "index/segment",
		"provenance", "provenance/capture", "provenance/corpus", "provenance/declare", "provenance/evidence", "provenance/inquiry", "provenance/ledger", "provenance/licence", "provenance/policy",
		"provenance/report", "provenance/source"}, others: []string{"github.com/spf13", "github.com/gofrs/flock", "golang.org/x/mod"}, program: true},
}

// only says where alone something may be used.
var only = []struct {
	imported string
	where    func(pkg string) bool
}{
	{"github.com/dgraph-io/badger", func(p string) bool { return p == "index" }},
	{"github.com/parquet-go", func(p string) bool { return within(p, "formats") }},
	{"github.com/apache/arrow-go", func(p string) bool { return within(p, "formats") }},
	{"gocloud.dev", func(p string) bool { return p == "formats/remote" }},
	{"github.com/aws", func(p string) bool { return p == "formats/remote" }},
	{"github.com/Azure", func(p string) bool { return p == "formats/remote" }},
	{"github.com/spf13", func(p string) bool { return p == "cmd/custody" }},
	{"os/signal", func(p string) bool { return layers[p].program }},
	{"log", func(p string) bool { return layers[p].program && p != "cmd/custody" }},
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// sourceFile is one file of the program, not of its tests.
type sourceFile struct {
	pkg  string // "index/scan"
	name string // "index/scan/scan.go"
	file *ast.File
}

// sourceFiles parses every file of ours, for whatever system it is meant.
func sourceFiles(t *testing.T) []sourceFile {
	root := filepath.Join("..", "..")
	var all []sourceFile
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); !ignored(f) {
			all = append(all, sourceFile{path.Dir(rel), rel, f})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

// ignored reports whether a file is a generator: built only when it is named.
func ignored(f *ast.File) bool {
	for _, g := range f.Comments {
		for _, c := range g.List {
			if e, err := constraint.Parse(c.Text); err == nil && c.Pos() < f.Package {
				return !e.Eval(func(tag string) bool { return tag != "ignore" })
			}
		}
	}
	return false
}

func imports(s sourceFile) []string {
	var list []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		list = append(list, p)
	}
	return list
}

func TestLayersEveryPackageHasAPlace(t *testing.T) {
	cmd := exec.Command("go", "list", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("SKIPPED: go list: %v", err)
	}
	for _, p := range strings.Fields(string(out)) {
		if _, ok := layers[strings.TrimPrefix(p, "custody/")]; !ok {
			t.Errorf("%s has no place among the layers", p)
		}
	}
}

func TestLayersImportsPointOneWay(t *testing.T) {
	for _, s := range sourceFiles(t) {
		l, ok := layers[s.pkg]
		if !ok {
			t.Errorf("%s: %s has no place among the layers", s.name, s.pkg)
			continue
		}
		for _, p := range imports(s) {
			mine, ours := strings.CutPrefix(p, "custody/")
			first, _, _ := strings.Cut(p, "/")
			switch {
			case ours && !slices.Contains(l.ours, mine):
				t.Errorf("%s: %s may not import %s", s.name, s.pkg, mine)
			case !ours && strings.Contains(first, ".") && !slices.ContainsFunc(l.others, func(m string) bool { return within(p, m) }):
				t.Errorf("%s: %s may not import %s", s.name, s.pkg, p)
			}
			for _, o := range only {
				if within(p, o.imported) && !o.where(s.pkg) {
					t.Errorf("%s: %s is not for %s", s.name, o.imported, s.pkg)
				}
			}
		}
	}
}

// TestLayersFormatsAndIndexStayApart follows all imports: no path leads from one
// to the other.
func TestLayersFormatsAndIndexStayApart(t *testing.T) {
	direct := map[string][]string{}
	for _, s := range sourceFiles(t) {
		for _, p := range imports(s) {
			if mine, ours := strings.CutPrefix(p, "custody/"); ours {
				direct[s.pkg] = append(direct[s.pkg], mine)
			}
		}
	}
	var reaches func(from, to string, seen map[string]bool) bool
	reaches = func(from, to string, seen map[string]bool) bool {
		for _, p := range direct[from] {
			if within(p, to) || !seen[p] && func() bool { seen[p] = true; return reaches(p, to, seen) }() {
				return true
			}
		}
		return false
	}
	for pkg := range direct {
		if layers[pkg].program {
			continue
		}
		for _, pair := range [][2]string{{"formats", "index"}, {"index", "formats"}, {"provenance", "index"}, {"provenance", "formats"}, {"index", "cmd"}, {"formats", "cmd"}} {
			if within(pkg, pair[0]) && reaches(pkg, pair[1], map[string]bool{}) {
				t.Errorf("%s leads to %s", pkg, pair[1])
			}
		}
	}
}

// TestLayersClockExitAndPrint holds that only programs have a clock, an exit
// code and streams, and that custody exits in one place.
func TestLayersClockExitAndPrint(t *testing.T) {
	exits := 0
	for _, s := range sourceFiles(t) {
		names := map[string]string{} // local name -> import path
		for _, i := range s.file.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			name := path.Base(p)
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			used := names[x.Name] + "." + sel.Sel.Name
			switch used {
			case "time.Now", "time.Since", "time.Until", "fmt.Print", "fmt.Println", "fmt.Printf", "os.Stdout", "os.Stderr", "os.Stdin":
				if !layers[s.pkg].program {
					t.Errorf("%s uses %s", s.name, used)
				}
			case "os.Exit", "syscall.Exit", "runtime.Goexit":
				if s.pkg == "cmd/custody" {
					exits++
				}
				if s.name != "cmd/custody/main.go" && (s.pkg == "cmd/custody" || !layers[s.pkg].program) {
					t.Errorf("%s uses %s", s.name, used)
				}
			}
			return true
		})
	}
	if exits != 1 {
		t.Errorf("custody exits in %d places, want 1", exits)
	}
}
