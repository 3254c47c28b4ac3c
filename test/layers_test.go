// Package test holds what is true of the repository as a whole. The suites on real servers are in its folders.
package test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of the repository.
const module = "github.com/mlmonitor/mlmonitor"

// height of a room, the first folder of a package: a package imports only from rooms below its own.
var height = map[string]int{
	"bundles": 0, "schemas": 0,
	"drift":    1,
	"scorer":   2, // a bundle holds a profile
	"reports":  2,
	"kafka":    3,
	"tracing":  3,
	"producer": 4,
	"registry": 5,
	"replay":   5,
	"api":      5,
	"consumer": 5, "audit": 5, // consumer publishes through producer; audit and consumer do not know each other
	"app": 6,
	"cmd": 7,
}

// bans of what is not for every room: who imports it must be in one of these.
var bans = []struct {
	imported []string // import paths, with all below them
	rooms    []string
}{
	{[]string{"database/sql", "github.com/jackc", "modernc.org", "github.com/pressly/goose"}, []string{"audit"}},
	{[]string{"github.com/twmb"}, []string{"kafka", "consumer", "producer", "audit", "replay", "tracing"}},
	{[]string{"go.opentelemetry.io"}, []string{"tracing"}},
	{[]string{"github.com/kelseyhightower/envconfig"}, []string{"app", "cmd"}},
	{[]string{"github.com/spf13/cobra"}, []string{"cmd"}},
	{[]string{"github.com/dmitryikh/leaves"}, []string{"scorer"}},
	{[]string{"gonum.org"}, []string{"drift"}},
	{[]string{"github.com/prometheus"}, []string{"drift", "kafka", "producer", "consumer", "audit", "registry", "api", "app", "tracing"}},
}

// pure rooms are functions of their input: they may import these and nothing else from outside, and no clock.
var pure = []string{"scorer", "drift", "reports", "schemas", "bundles"}

var pureImports = []string{
	"bufio", "bytes", "cmp", "crypto/sha256", "embed", "encoding/base64", "encoding/binary", "encoding/csv", "encoding/hex", "encoding/json", "errors", "fmt",
	"hash/maphash", "io", "io/fs", "iter", "maps", "math", "math/big", "math/bits", "path", "regexp", "slices", "sort", "strconv", "strings", "sync", "time",
	"time/tzdata", "unicode", "unicode/utf16", "unicode/utf8", "unsafe",
	"github.com/goccy/go-yaml", "github.com/dmitryikh/leaves", "golang.org/x/sys/cpu", "gonum.org/v1/gonum/mathext", "github.com/prometheus/client_golang/prometheus", "html/template",
}

// clock is what package time has besides values and formats.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// environment is what package os has of it.
var environment = []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv"}

// pkg is what go list says of a package; its tests do not count.
type pkg struct {
	Dir        string
	ImportPath string
	GoFiles    []string
	Imports    []string
}

// room is the first folder of an import path of ours; "" for one of another module.
func room(path string) string {
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// below tells whether path is one of roots or lies below one.
func below(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return path == root || strings.HasPrefix(path, root+"/") })
}

// importFaults are the sentences to say about what a package imports.
func importFaults(p pkg) (faults []string) {
	from := room(p.ImportPath)
	if from == "test" || p.ImportPath == module+"/cmd/torture" { // a program of the tests
		return nil
	}
	here, ok := height[from]
	if !ok {
		return []string{p.ImportPath + " is in a room that docs/design.md does not have"}
	}
	for _, imported := range p.Imports {
		to := room(imported)
		there, known := height[to]
		switch {
		case to != "" && !known:
			faults = append(faults, p.ImportPath+" imports "+imported+", which is not for the product")
		case to == from && !strings.HasPrefix(imported, p.ImportPath+"/"):
			faults = append(faults, p.ImportPath+" imports "+imported+", which does not lie below it")
		case to != "" && to != from && there >= here:
			faults = append(faults, p.ImportPath+" imports "+imported+": imports point down only")
		case to == "" && slices.Contains(pure, from) && !below(imported, pureImports):
			faults = append(faults, p.ImportPath+" imports "+imported+", but "+from+" is pure")
		}
		for _, ban := range bans {
			if below(imported, ban.imported) && !slices.Contains(ban.rooms, from) {
				faults = append(faults, p.ImportPath+" imports "+imported+", which is for "+strings.Join(ban.rooms, ", ")+" only")
			}
		}
	}
	return faults
}

// callFaults are the sentences to say about what a file uses of packages os, syscall and time.
func callFaults(path string, file *ast.File, positions *token.FileSet) (faults []string) {
	from := room(path)
	banned := map[string][]string{} // names by import path
	if !slices.Contains([]string{"app", "cmd", "test"}, from) {
		banned["os"] = environment
		banned["syscall"] = environment
	}
	if slices.Contains(pure, from) {
		banned["time"] = clock
	}
	locals := map[string]string{} // import path by the name that the file gives it
	for _, i := range file.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil || banned[imported] == nil {
			continue
		}
		name := imported
		if i.Name != nil {
			name = i.Name.Name
		}
		if name == "." {
			faults = append(faults, positions.Position(i.Pos()).String()+": a dot import hides what is used of "+imported)
		}
		locals[name] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && slices.Contains(banned[locals[x.Name]], selector.Sel.Name) {
			faults = append(faults, positions.Position(n.Pos()).String()+": "+from+" must not use "+x.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return faults
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=Dir,ImportPath,GoFiles,Imports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsPointDownAndPureRoomsStayPure(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		seen[room(p.ImportPath)] = true
		for _, fault := range importFaults(p) {
			t.Error(fault)
		}
		for _, name := range p.GoFiles {
			positions := token.NewFileSet()
			file, err := parser.ParseFile(positions, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range callFaults(p.ImportPath, file, positions) {
				t.Error(fault)
			}
		}
	}
	for name := range height {
		if !seen[name] {
			t.Errorf("room %s has no package: does this test still look at the right place?", name)
		}
	}
}

func TestLayerRulesFindWhatBreaksThem(t *testing.T) {
	for _, c := range []struct{ from, imported, fault string }{
		{"schemas", module + "/scorer", "down only"},
		{"scorer/forest", module + "/scorer", "does not lie below"},
		{"scorer", module + "/scorer/forest", ""},
		{"audit", module + "/consumer", "down only"},
		{"producer", module + "/consumer", "down only"},
		{"consumer", module + "/producer", ""},
		{"app", module + "/test/rig", "not for the product"},
		{"helpers", "fmt", "does not have"},
		{"scorer", "os", "pure"},
		{"scorer", "log/slog", "pure"},
		{"schemas", "net/http", "pure"},
		{"schemas", "github.com/goccy/go-yaml/ast", ""},
		{"scorer", "github.com/twmb/franz-go/pkg/kgo", "for kafka"},
		{"app", "github.com/twmb/franz-go/pkg/kgo", "for kafka"},
		{"audit", "github.com/twmb/franz-go/pkg/kgo", ""},
		{"app", "github.com/jackc/pgx/v5", "for audit"},
		{"audit", "github.com/jackc/pgx/v5", ""},
		{"consumer", "github.com/kelseyhightower/envconfig", "for app"},
		{"test/rig", "github.com/jackc/pgx/v5", ""},
	} {
		got := strings.Join(importFaults(pkg{ImportPath: module + "/" + c.from, Imports: []string{c.imported}}), "; ")
		if (got == "") != (c.fault == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%s imports %s: got %q, want %q", c.from, c.imported, got, c.fault)
		}
	}
	for _, c := range []struct{ from, source, fault string }{
		{"kafka", `import "os"; var x = os.Getenv("X")`, "os.Getenv"},
		{"kafka", `import env "os"; var x, _ = env.LookupEnv("X")`, "env.LookupEnv"},
		{"audit", `import . "os"; var x = Getenv("X")`, "dot import"},
		{"kafka", `import "os"; var x, _ = os.ReadFile("x")`, ""},
		{"app", `import "os"; var x = os.Getenv("X")`, ""},
		{"schemas", `import "time"; var x = time.Now()`, "time.Now"},
		{"schemas", `import "time"; var x = time.Now`, "time.Now"},
		{"schemas", `import "time"; var x, _ = time.LoadLocation("UTC")`, ""},
		{"kafka", `import "time"; var x = time.Now()`, ""},
	} {
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, "x.go", "package x; "+c.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(callFaults(module+"/"+c.from, file, positions), "; ")
		if (got == "") != (c.fault == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%s: %s: got %q, want %q", c.from, c.source, got, c.fault)
		}
	}
}
