package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

// invoke runs a command line in this process.
func invoke(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := root()
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// commands are all that do something.
func commands(cmd *cobra.Command) (all []*cobra.Command) {
	if cmd.Runnable() {
		all = append(all, cmd)
	}
	for _, c := range cmd.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	all := commands(root())
	if len(all) != 32 {
		t.Fatalf("%d commands", len(all))
	}
	for _, c := range all {
		if c.Short == "" || !strings.Contains(c.Example, "mlmonitor") {
			t.Errorf("%s has no example or no description", c.CommandPath())
		}
		path := strings.Fields(c.CommandPath())[1:]
		if out, _, err := invoke(t, append(path, "--help")...); err != nil || !strings.Contains(out, "Examples:") {
			t.Errorf("%s --help: %v\n%s", c.CommandPath(), err, out)
		}
		if _, _, err := invoke(t, append(path, "--no-such-flag")...); err == nil {
			t.Errorf("%s takes an unknown flag", c.CommandPath())
		}
	}
	for _, typo := range [][]string{{"scroe"}, {"dlq", "lsit"}, {"model", "chekc"}, {"score", "now"}} {
		if _, _, err := invoke(t, typo...); err == nil || !strings.Contains(err.Error(), typo[len(typo)-1]) {
			t.Errorf("%v: %v", typo, err)
		}
	}
}

func TestConfigListsEveryVariable(t *testing.T) {
	t.Setenv("KAFKA_SASL_PASSWORD", "hunter2")
	text, _, err := invoke(t, "config")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, _, err := invoke(t, "config", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, Default, Description string }
	if err := json.Unmarshal([]byte(asJSON), &all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"KAFKA_BROKERS", "DATABASE_URL", "BUNDLE_DIR", "INSTANCE_ID", "CONSUMER_MAX_DEAD_LETTER_RATIO", "AUDIT_RETENTION_DAYS", "OPS_PORT", "KAFKA_PARTITIONS"} {
		if !strings.Contains(text, "\n"+want+" ") || !strings.Contains(asJSON, `"`+want+`"`) {
			t.Errorf("%s is not listed", want)
		}
	}
	if strings.Contains(text+asJSON, "hunter2") || !strings.Contains(text, "KAFKA_SASL_PASSWORD_FILE") {
		t.Error("a secret is shown, or its file not named")
	}
}

func TestReferenceOfVariablesIsWhatTheCodeSays(t *testing.T) {
	t.Setenv("KAFKA_SASL_PASSWORD", "hunter2")
	t.Setenv("KAFKA_BROKERS", "elsewhere:9092")
	want, _, err := invoke(t, "config", "--markdown")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(want, "hunter2") || strings.Contains(want, "elsewhere") {
		t.Error("the reference has what is set now")
	}
	for _, v := range app.Variables() {
		if !strings.Contains(want, "\n| `"+v.Name+"` | ") || v.Secret != strings.Contains(want, "\n| `"+v.Name+"` |  | **secret**, or `"+v.Name+"_FILE`") {
			t.Errorf("the reference lacks %s, or does not say rightly whether it is secret", v.Name)
		}
	}
	got, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not what the code says: run make docs")
	}
	if _, _, err := invoke(t, "config", "--markdown", "--json"); err == nil {
		t.Error("two formats at once")
	}
}

// TestReferenceNamesTheRolesThatReadASection compares its words with what the roles load.
func TestReferenceNamesTheRolesThatReadASection(t *testing.T) {
	for _, role := range []string{"score", "audit", "api", "demo", "migrate", "topics"} {
		source, err := os.ReadFile(role + ".go")
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range app.Sections() {
			config := reflect.TypeOf(section.Config).String()
			if config == "drift.Config" {
				continue // a part of consumer.Config, which not all who load it use
			}
			reads := regexp.MustCompile(`var \w+ ` + regexp.QuoteMeta(config)).Match(source)
			if says := strings.Contains(section.Readers, "`"+role+"`"); says != reads {
				t.Errorf("%s reads %q: %v, the reference says %v", role, section.Title, reads, says)
			}
		}
	}
}

func TestModelCheckSaysWhatABundleIs(t *testing.T) {
	for _, dir := range []string{"sample", "../../bundles/sample"} {
		out, _, err := invoke(t, "model", "check", dir)
		if err != nil || !strings.Contains(out, "sha256:") || !strings.Contains(out, "all score as recorded") {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
	if _, _, err := invoke(t, "model", "check", t.TempDir()); err == nil || !strings.Contains(err.Error(), "bundle.json") {
		t.Errorf("an empty directory: %v", err)
	}
	out, _, err := invoke(t, "model", "check", "sample", "--json", "--engine", "leaves")
	var info struct {
		Digest, Format string
		Examples       int
	}
	if err != nil || json.Unmarshal([]byte(out), &info) != nil || info.Examples == 0 || !strings.Contains(info.Format, "leaves") {
		t.Errorf("--json --engine leaves: %v\n%s", err, out)
	}
}

func TestModelPredictRefusesAndScores(t *testing.T) {
	dir := t.TempDir()
	rows := filepath.Join(dir, "rows.csv")
	out, _, err := invoke(t, "model", "check", "sample", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Features []string }
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		t.Fatal(err)
	}
	table := strings.Join(info.Features, ",") + "\n" + strings.Repeat("1,", len(info.Features)-1) + "1\n"
	if err := os.WriteFile(rows, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, _, err := invoke(t, "model", "predict", "../../bundles/sample/model.txt", "--rows", rows, "--raw")
	if err != nil || strings.Count(raw, "\n") != 1 {
		t.Errorf("%v %q", err, raw)
	}
	prob, _, err := invoke(t, "model", "predict", "../../bundles/sample/model.txt", "--rows", rows)
	if err != nil || prob == raw {
		t.Errorf("%v %q", err, prob)
	}
	for _, args := range [][]string{
		{"../../bundles/sample/model.txt"}, {"nosuch.txt", "--rows", rows}, {"../../bundles/sample/policy.yaml", "--rows", rows},
		{"../../bundles/sample/model.txt", "--rows", "nosuch.csv"}, {"../../bundles/sample/model.txt", "--rows", rows, "--engine", "onnx"},
	} {
		if out, _, err := invoke(t, append([]string{"model", "predict"}, args...)...); err == nil || out != "" {
			t.Errorf("%v: %v %q", args, err, out)
		}
	}
}

func TestProduceWritesEventsAndLabels(t *testing.T) {
	dir := t.TempDir()
	events, labels := filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "labels.csv")
	args := []string{"produce", "--out", events, "--labels", labels, "--count", "2000", "--customers", "50", "--terminals", "30", "--json"}
	out, _, err := invoke(t, args...)
	if err != nil || !strings.Contains(out, `"transactions": 2000`) {
		t.Fatalf("%v %s", err, out)
	}
	first, err := os.ReadFile(events)
	if err != nil || bytes.Count(first, []byte("\n")) != 2000 {
		t.Fatalf("%d lines, %v", bytes.Count(first, []byte("\n")), err)
	}
	table, err := os.ReadFile(labels)
	if err != nil || bytes.Count(table, []byte("\n")) != 2001 || !bytes.HasPrefix(table, []byte("transaction_id,fraud_kind\ntx-000000000000,")) {
		t.Errorf("labels: %.80s %v", table, err)
	}
	if _, _, err := invoke(t, args...); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(events); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the same seed gives other events, %v", err)
	}
	for _, wrong := range [][]string{{"--labels", labels}, {"--out", events}, {"--out", events, "--labels", labels, "--count", "5", "--malformed", "0.5"}, {"--malformed", "2"}, {"--start", "today"}} {
		if _, _, err := invoke(t, append([]string{"produce"}, wrong...)...); err == nil {
			t.Errorf("produce %v is accepted", wrong)
		}
	}
}

func TestCompletionIsThere(t *testing.T) {
	if out, _, err := invoke(t, "completion", "bash"); err != nil || !strings.Contains(out, "mlmonitor") {
		t.Errorf("%v", err)
	}
}
