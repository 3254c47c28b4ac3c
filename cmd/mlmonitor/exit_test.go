package main

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/mlmonitor/mlmonitor/app"
)

// asProgram makes this test binary the program itself, with the coverage and race detector that it was built with.
const asProgram = "MLMONITOR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// execute runs a command line in a process of its own.
func execute(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestAWrongCommandLineExitsWith1AndOneLine(t *testing.T) {
	for _, args := range [][]string{
		{"scroe"}, {"score", "now"}, {"score", "--no-such-flag"}, {"dlq", "lsit"}, {"dlq", "list", "--limit", "-1"}, {"dlq", "redrive", "--max-attempts", "0"}, {"model", "check"},
		{"model", "predict", "nosuch.txt", "--rows", "-"}, {"migrate", "--every", "5s"}, {"demo", "--rate", "0"}, {"health", "--url", "nowhere"},
		{"produce", "--rate", "-1"}, {"produce", "--rate", "NaN", "--out", os.DevNull, "--count", "1"}, {"produce", "--for", "-1s", "--out", os.DevNull}, {"produce", "--malformed", "2"},
		{"score"}, // BUNDLE_DIR is not set
	} {
		stdout, stderr, code := execute(t, []string{"BUNDLE_DIR=", "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "untouched.db"), "KAFKA_BROKERS=127.0.0.1:1"}, args...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "mlmonitor: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

func TestVersionSaysWhichBuildThisIs(t *testing.T) {
	stdout, stderr, code := execute(t, nil, "--version")
	for _, want := range []string{"mlmonitor " + app.Program.Version, "commit    " + app.Program.Commit, "date      ", "go        " + runtime.Version(), "platform  " + runtime.GOOS + "/" + runtime.GOARCH} {
		if !strings.Contains("\n"+stdout, "\n"+want) {
			t.Errorf("--version lacks %q: %q", want, stdout)
		}
	}
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 5 {
		t.Errorf("--version: code %d, %q, %q", code, stdout, stderr)
	}
}

func TestARefusedMigrateTouchesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.db")
	if _, stderr, code := execute(t, []string{"DATABASE_URL=sqlite:" + file}, "migrate", "--every", "5s"); code != 1 || !strings.Contains(stderr, "--every") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the database was made all the same: %v", err)
	}
}

// TestADemoThatDoesNotAddUpExitsWith1: whoever only looks at the exit code sees it.
func TestADemoThatDoesNotAddUpExitsWith1(t *testing.T) {
	dir := t.TempDir()
	args := []string{"demo", "--dir", dir, "--for", "1s", "--rate", "200", "--malformed", "0.05"}
	if stdout, stderr, code := execute(t, nil, append(args, "--json")...); code != 0 || !strings.Contains(stdout, `"exactly_once": true`) {
		t.Fatalf("code %d\n%s%s", code, stdout, stderr)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "audit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// A row without verdict: unlike a missing one it is not waited for.
	if _, err := db.ExecContext(t.Context(), `CREATE TEMP TABLE one AS SELECT * FROM verdicts LIMIT 1; UPDATE one SET "offset" = 1000000000; INSERT INTO verdicts SELECT * FROM one`); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := execute(t, nil, args...)
	if code != 1 || !strings.Contains(stdout, "verdicts = audit rows: NO") || !strings.Contains(stdout, "each answered once: yes") || strings.Contains(stderr, "mlmonitor:") {
		t.Errorf("text: code %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := execute(t, nil, append(args, "--json")...); code != 1 || !strings.Contains(stdout, `"exactly_once": false`) {
		t.Errorf("--json: code %d\n%s%s", code, stdout, stderr)
	}
}
