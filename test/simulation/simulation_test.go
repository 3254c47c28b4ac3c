package simulation

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	schedules = flag.Int("schedules", 600, "random schedules to run, besides the systematic ones")
	first     = flag.Uint64("seed", 0, "seed of the first random schedule; those that follow count up; 0: drawn from the clock")
	same      = flag.Bool("same", false, "run the schedule of -seed again and again instead, and no systematic ones: goroutines take turns as they like, so one that fails may pass")
)

// importsSync is the line of a file that imports package sync.
var importsSync = regexp.MustCompile(`(?m)^(\s+|import )"sync"$`)

// TestSimulation builds the other tests of this package, under the tag durable, against copies of client and broker whose locks are those of package durable,
// and runs them. Nothing else of the copies differs.
func TestSimulation(t *testing.T) {
	dir := t.TempDir()
	modfile := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	patched := 0
	for _, module := range []string{"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/kfake"} {
		copied := filepath.Join(dir, filepath.Base(module))
		patched += copyModule(t, module, copied)
		if out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-replace", module+"="+copied, modfile).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if patched < 20 {
		t.Fatalf("only %d files import package sync: does this still look at the right place?", patched)
	}
	binary := filepath.Join(dir, "simulation.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "durable", "-modfile", modfile, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	what, tests := "Schedules|Request", 3
	if *same {
		what, tests = "RandomSchedules", 1
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run", what, "-same="+fmt.Sprint(*same), "-test.timeout", "2h", "-schedules", fmt.Sprint(*schedules), "-seed", fmt.Sprint(*first))
	cmd.Stderr = os.Stderr // progress
	out, err := cmd.Output()
	var said []string
	for line := range strings.SplitSeq(string(out), "\n") {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "===") && !strings.HasPrefix(trimmed, "--- PASS") {
			said = append(said, line)
		}
	}
	t.Log(strings.Join(said, "\n"))
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(string(out), " schedules, "); n != tests && err == nil {
		t.Errorf("%d of %d tests said how many schedules they ran", n, tests)
	}
}

// copyModule copies the source of a module, with other locks, and says in how many files.
func copyModule(t *testing.T, module, to string) (patched int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", module, err)
	}
	from := strings.TrimSpace(string(out))
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, from)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to+name, 0o700)
		case filepath.Ext(name) != ".go" && d.Name() != "go.mod" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// kfake's misc.go has a lock that all bubbles share; it is held for moments only, and may stay as it is.
		if importsSync.Match(text) && d.Name() != "misc.go" && (strings.Contains(name, "/kgo/") || strings.HasSuffix(module, "/kfake")) {
			text = importsSync.ReplaceAll(text, []byte(`${1}sync "github.com/mlmonitor/mlmonitor/test/simulation/durable"`))
			patched++
		}
		return os.WriteFile(to+name, text, 0o600)
	})
	if err != nil {
		t.Fatalf("copy %s: %v", module, err)
	}
	return patched
}
