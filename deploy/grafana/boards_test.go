package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/promql/parser"
)

func TestCommittedFilesAreWhatTheCodeMakes(t *testing.T) {
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) != len(boards()) {
		t.Errorf("%d files for %d dashboards: %v", len(files), len(boards()), err)
	}
	for _, b := range boards() {
		want, err := encode(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("dashboards/" + b.file + ".json")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("dashboards/%s.json is not what the code makes, run: go run . (%v)", b.file, err)
		}
	}
}

// read is strict: what Grafana does not know is an error. The SDK gives a list of errors that is empty where there is none.
func read(text []byte) (d dashboard.Dashboard, err error) {
	err = d.UnmarshalJSONStrict(text)
	var found cog.BuildErrors
	if errors.As(err, &found) && len(found) == 0 {
		err = nil
	}
	return d, err
}

func TestGrafanaReadsTheFiles(t *testing.T) {
	plugins.RegisterDefaultPlugins() // else queries and options of panels would pass unread
	uids, titles := map[string]bool{}, map[string]bool{}
	for _, b := range boards() {
		text, err := encode(b)
		if err != nil {
			t.Fatal(err)
		}
		d, err := read(text)
		if err != nil {
			t.Errorf("%s: %v", b.file, err)
			continue
		}
		if d.Uid == nil || uids[*d.Uid] || titles[*d.Title] {
			t.Errorf("%s has no title and uid of its own", b.file)
		}
		uids[*d.Uid], titles[*d.Title] = true, true
		for _, field := range []string{"legendFormat", "targets", "expr", "gridPos"} {
			misspelt := bytes.Replace(text, []byte(`"`+field+`"`), []byte(`"`+field+`s"`), 1)
			if bytes.Equal(misspelt, text) {
				t.Fatalf("%s has no %s", b.file, field)
			}
			if _, err := read(misspelt); err == nil {
				t.Errorf("%s: %ss is read for %s", b.file, field, field)
			}
		}
	}
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	for _, b := range boards() {
		titles := map[string]bool{}
		for _, r := range b.rows {
			width := uint32(0)
			for _, p := range r.panels {
				width += p.width
				if p.title == "" || titles[p.title] || !strings.HasSuffix(p.about, ".") || p.unit == "" || len(p.queries) == 0 {
					t.Errorf("%s: %q lacks a title of its own, a description, a unit or a query", b.file, p.title)
				}
				titles[p.title] = true
				legends := map[string]bool{}
				for _, q := range p.queries {
					if q.legend == "" || legends[q.legend] {
						t.Errorf("%s: %q has a query without a legend of its own", b.file, p.title)
					}
					legends[q.legend] = true
				}
				if p.kind == heat && len(p.steps) == 0 {
					t.Errorf("%s: %q has no thresholds", b.file, p.title)
				}
			}
			if width%24 != 0 {
				t.Errorf("%s: the panels of %q fill %d of 24", b.file, r.title, width)
			}
		}
	}
}

// filled puts values in for Grafana's variables.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$model_version", ".*", "$feature", ".*").Replace(expr)
}

var metricName = regexp.MustCompile(`"((?:fraud|mlmonitor|http)_[a-z0-9_]+)"`)

// known are the metrics that the programs and the rules have.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{"process_resident_memory_bytes": true, "process_cpu_seconds_total": true} // of the client library
	for _, room := range []string{"app", "audit", "consumer", "drift", "kafka"} {
		err := filepath.WalkDir("../../"+room, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range metricName.FindAllSubmatch(source, -1) {
				for _, suffix := range []string{"", "_bucket", "_count"} {
					names[string(m[1])+suffix] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rules, err := filepath.Glob("../prometheus/rules/*.yml")
	if err != nil || len(rules) == 0 {
		t.Fatal("no rules", err)
	}
	for _, path := range rules {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`record: (\S+)`).FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
	}
	if len(names) < 60 {
		t.Fatalf("only %d metrics found", len(names))
	}
	return names
}

// unknown are the metrics of an expression that nobody has.
func unknown(expr string, names map[string]bool) (missing []string, err error) {
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(filled(expr))
	if err != nil {
		return nil, err
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok && !names[s.Name] {
			missing = append(missing, s.Name)
		}
		return nil
	})
	return missing, nil
}

func TestEveryQueryIsOfMetricsThatExist(t *testing.T) {
	names := known(t)
	queries := 0
	for _, b := range boards() {
		for _, v := range b.variables {
			if !names[v.metric] {
				t.Errorf("%s: the variable %s is of %s", b.file, v.name, v.metric)
			}
		}
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					queries++
					if missing, err := unknown(q.expr, names); err != nil || len(missing) > 0 {
						t.Errorf("%s: %q: %v, unknown %v in %s", b.file, p.title, err, missing, q.expr)
					}
				}
			}
		}
	}
	if queries < 50 {
		t.Errorf("only %d queries", queries)
	}
	for _, bad := range []string{"sum(fraud_prediction_total)", "sum(rate(fraud_predictions_total[1m])", "fraud:drift_psi:1d"} {
		if missing, err := unknown(bad, names); err == nil && len(missing) == 0 {
			t.Errorf("%s passes", bad)
		}
	}
}

// What the end-to-end test reads from the files is what the panels ask.
func TestFilesHoldTheQueries(t *testing.T) {
	for _, b := range boards() {
		text, err := os.ReadFile("dashboards/" + b.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					quoted, err := json.Marshal(q.expr)
					if err != nil || !bytes.Contains(text, quoted) {
						t.Errorf("%s: %q is not in the file: %v", b.file, q.expr, err)
					}
				}
			}
		}
	}
}
