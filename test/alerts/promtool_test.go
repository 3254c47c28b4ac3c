// Package alerts holds the rules of deploy/prometheus to their promises, with promtool: each alert fires in one case and stays silent in another, its thresholds stand
// where they should, PSI in PromQL is that of package drift, and each alert has its place in the runbook.
package alerts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const rulesDir = "../../deploy/prometheus/rules"

// ruleFile is a file of rules, as Prometheus reads it.
type ruleFile struct {
	Groups []group `yaml:"groups" json:"groups"`
}

type group struct {
	Name     string `yaml:"name" json:"name"`
	Interval string `yaml:"interval" json:"interval"`
	Rules    []rule `yaml:"rules" json:"rules"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty" json:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty" json:"alert,omitempty"`
	Expr        string            `yaml:"expr" json:"expr"`
	For         string            `yaml:"for,omitempty" json:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty" json:"annotations,omitempty"`
}

// allRules are those of every file.
func allRules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob(rulesDir + "/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rule files: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f ruleFile
		if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			if g.Interval != "1m" {
				t.Errorf("%s: group %s is evaluated every %s", name, g.Name, g.Interval)
			}
			all = append(all, g.Rules...)
		}
	}
	return all
}

// unit is one file of promtool's tests.
type unit struct {
	RuleFiles          []string `json:"rule_files"`
	EvaluationInterval string   `json:"evaluation_interval"`
	Tests              []test   `json:"tests"`
}

type test struct {
	Name        string      `json:"name"`
	Interval    string      `json:"interval"`
	Series      []series    `json:"input_series"`
	Expressions []statement `json:"promql_expr_test"`
}

type series struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

// statement is an expression and the samples that it has at a time.
type statement struct {
	Expr    string   `json:"expr"`
	At      string   `json:"eval_time"`
	Samples []sample `json:"exp_samples"`
}

type sample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// is states that an expression without labels has a value.
func is(at, expr string, value float64) statement {
	return statement{expr, at, []sample{{"{}", value}}}
}

// write puts a test and its rules into files.
func write(t *testing.T, dir, name string, rules []rule, u unit) string {
	t.Helper()
	put := func(name string, v any) string {
		data, err := json.Marshal(v) // which is YAML
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put(name+".rules.yml", ruleFile{[]group{{"rules", "1m", rules}}})
	u.RuleFiles = []string{name + ".rules.yml"}
	u.EvaluationInterval = "1m"
	return put(name+".yml", u)
}

// promtool runs test files, and gives for each whether it passed, and what was said.
func promtool(t *testing.T, files []string) (passed map[string]bool, said string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is needed: test/stack/monitoring.sh install")
	}
	out, err := exec.CommandContext(t.Context(), tool, append([]string{"test", "rules"}, files...)...).CombinedOutput()
	said = string(out)
	passed = map[string]bool{}
	file := ""
	for line := range strings.Lines(said) {
		if at := strings.Index(line, "Unit Testing:"); at >= 0 {
			file = strings.TrimSpace(line[at+len("Unit Testing:"):])
		}
		if strings.Contains(line, "SUCCESS") {
			passed[file] = true
		}
	}
	if len(passed) == 0 && err != nil && !strings.Contains(said, "FAILED") {
		t.Fatalf("promtool: %v\n%s", err, said)
	}
	return passed, said
}

// needsServers says that a test needs programs that only a full run installs.
func needsServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs promtool")
	}
}

func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", pairs[i], pairs[i+1])
	}
	return "{" + b.String() + "}"
}
