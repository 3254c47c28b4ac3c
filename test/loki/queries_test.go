// Package loki holds the saved queries of deploy/loki to Loki's own parser and pipeline, and to a Loki that runs, over lines that real roles have written.
// It is a module of its own: Loki brings some hundred others.
package loki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

const root = "../.."

// query is one of deploy/loki/queries.md.
type query struct {
	entries []string // of the runbook
	text    string
}

var block = regexp.MustCompile("(?ms)^## (.*?)$.*?^```logql\n(.*?)\n```$")

func queries(t *testing.T) (all []query) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/queries.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		all = append(all, query{strings.Split(found[1], ", "), found[2]})
	}
	if len(all) < 10 {
		t.Fatalf("only %d queries", len(all))
	}
	return all
}

func TestEachEntryOfTheRunbookHasAQuery(t *testing.T) {
	book, err := os.ReadFile(filepath.Join(root, "docs/runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(string(book), -1) {
		want = append(want, strings.Split(heading[1], ", ")...)
	}
	for _, q := range queries(t) {
		have = append(have, q.entries...)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("the runbook has\n%s\nthe queries have\n%s", want, have)
	}
}

// selector gives a query's part that chooses lines: all of it, or what its aggregation counts.
func selector(t *testing.T, text string) syntax.LogSelectorExpr {
	t.Helper()
	expr, err := syntax.ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if logs, ok := expr.(syntax.LogSelectorExpr); ok {
		return logs
	}
	samples, ok := expr.(syntax.SampleExpr)
	if !ok {
		t.Fatalf("%s is a %T", text, expr)
	}
	logs, err := samples.Selector()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return logs
}

// chosen tells whether a query gives a line that has been written, with the labels that the agent would give it.
func chosen(t *testing.T, s syntax.LogSelectorExpr, line string) bool {
	t.Helper()
	var of struct{ Role, Instance, Level string }
	if err := json.Unmarshal([]byte(line), &of); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	stream := labels.FromStrings("role", of.Role, "instance", of.Instance, "level", of.Level)
	for _, m := range s.Matchers() {
		if !m.Matches(stream.Get(m.Name)) {
			return false
		}
	}
	p, err := s.Pipeline()
	if err != nil {
		t.Fatal(err)
	}
	_, found, ok := p.ForStream(stream).ProcessString(time.Now().UnixNano(), line, labels.EmptyLabels())
	if found != nil && found.Labels().Get("__error__") != "" {
		t.Errorf("%s: %s in %s", s, found.Labels().Get("__error__"), line)
	}
	return ok
}

var named = regexp.MustCompile(`msg=~?"([^"]*)"`)

// A message that nobody writes any more makes a query that finds nothing, on the night when it is needed.
func TestQueriesNameMessagesThatAreWritten(t *testing.T) {
	var source strings.Builder
	for _, room := range []string{"app", "api", "audit", "consumer", "kafka", "registry", "tracing"} {
		files, err := filepath.Glob(filepath.Join(root, room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(room, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	for _, q := range queries(t) {
		for _, found := range named.FindAllStringSubmatch(q.text, -1) {
			for _, message := range strings.Split(found[1], "|") {
				want := `"` + message + `"`
				if begin, cut := strings.CutSuffix(message, ".*"); cut {
					want = `"` + begin
				}
				if !strings.Contains(source.String(), want) {
					t.Errorf("%s: nobody writes %q", q.entries, message)
				}
			}
		}
	}
}

// written are lines of real roles: of a scorer and an audit writer without brokers.
func written(t *testing.T) (all []string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "mlmonitor")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/mlmonitor")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	run := func(env []string, args ...string) string {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env, cmd.Stderr, cmd.Dir = append(os.Environ(), env...), &out, dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end := time.AfterFunc(5*time.Second, func() { cmd.Process.Signal(os.Interrupt) })
		cmd.Wait() // how it ends is in its log
		end.Stop()
		return out.String()
	}
	text := run([]string{"KAFKA_BROKERS=127.0.0.1:1", "BUNDLE_DIR=sample", "INSTANCE_ID=score-1", "OPS_PORT=" + port}, "score")
	database := "DATABASE_URL=sqlite:" + filepath.Join(dir, "audit.db")
	run([]string{database}, "migrate")
	text += run([]string{"KAFKA_BROKERS=127.0.0.1:1", database, "INSTANCE_ID=audit-1", "OPS_PORT=" + port}, "audit")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "{") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	if len(all) < 4 {
		t.Fatalf("the roles wrote %q", text)
	}
	return all
}

const port = "39517" // of the operations pages, one role after the other

func TestEachQueryFindsItsLine(t *testing.T) {
	lines := written(t)
	// The real ones first: these must be found as they are.
	real := map[string]int{}
	for _, q := range queries(t) {
		s := selector(t, q.text)
		for _, line := range lines {
			if chosen(t, s, line) {
				real[q.entries[0]]++
			}
		}
	}
	for _, entry := range []string{"ScorerDown", "ScorerNotReady", "StreamLag", "AuditDown"} {
		if real[entry] == 0 {
			t.Errorf("of what the roles wrote, the query of %s finds nothing: %s", entry, strings.Join(lines, "\n"))
		}
	}
	for _, q := range queries(t) {
		s := selector(t, q.text)
		for _, e := range examples(t, q) {
			if line := e.line(time.Now()); chosen(t, s, line) != e.found {
				t.Errorf("%s finds: %v, must: %v, %s", q.text, !e.found, e.found, line)
			}
		}
	}
}

// example is a line of the form that the roles' have.
type example struct {
	level, msg, role string
	found            bool // by its query
	milliseconds     float64
}

func (e example) line(at time.Time) string {
	return fmt.Sprintf(`{"time":%q,"level":%q,"msg":%q,"role":%q,"instance":"x-1","error":"broken: \"pipe\"","status":503,"operation":"predict","duration_ms":%g}`, at.UTC().Format(time.RFC3339Nano), e.level, e.msg, e.role, e.milliseconds)
}

// examples are lines with each message that a query names, and some that it must not find: of another role, with another message.
func examples(t *testing.T, q query) (all []example) {
	t.Helper()
	role, level := "score", "WARN"
	for _, m := range selector(t, q.text).Matchers() {
		if m.Name == "role" {
			role, _, _ = strings.Cut(m.Value, "|") // of several, the first
		}
		if m.Name == "level" && m.Matches("ERROR") {
			level = "ERROR"
		}
	}
	messages := []string{"anything"}
	if found := named.FindAllStringSubmatch(q.text, -1); len(found) > 0 {
		messages = strings.Split(found[0][1], "|")
	}
	for _, m := range messages {
		m = strings.TrimSuffix(m, ".*")
		all = append(all, example{level, m, role, true, 250}, example{level, m, "other", false, 250})
	}
	if strings.Contains(q.text, "msg=") {
		all = append(all, example{level, "another message", role, false, 250})
	}
	if strings.Contains(q.text, "duration_ms") {
		all = append(all, example{level, messages[0], role, false, 9.5})
	}
	return all
}

func TestABrokenQueryIsSeen(t *testing.T) {
	for _, text := range []string{`{role="score"} | jsn`, `{role="score" | json`, `count_over_time({role="score"})`, `{}`} {
		if _, err := syntax.ParseExpr(text); err == nil {
			t.Errorf("%s passes", text)
		}
	}
}
