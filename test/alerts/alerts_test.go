package alerts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func product(a, b string) string {
	x, _ := strconv.ParseFloat(a, 64)
	y, _ := strconv.ParseFloat(b, 64)
	return strconv.FormatFloat(x*y, 'g', 10, 64)
}

// tests of one alert.
func testsOf(alert string) (all []test) {
	for _, s := range scenarios() {
		if s.alert != alert {
			continue
		}
		one := test{Name: s.alert + ": " + s.name, Interval: "1m"}
		for name, values := range s.series {
			one.Series = append(one.Series, series{name, values})
		}
		for _, l := range s.looks {
			selector := fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"`, alert)
			if l.labels != "" {
				selector += "," + l.labels
			}
			one.Expressions = append(one.Expressions, is(l.at, "count("+selector+"}) or vector(0)", l.fires))
		}
		all = append(all, one)
	}
	return all
}

func alerts(t *testing.T) (all []rule) {
	for _, r := range allRules(t) {
		if r.Alert != "" {
			all = append(all, r)
		}
	}
	return all
}

func TestEachAlertFiresAndStaysSilent(t *testing.T) {
	needsServers(t)
	dir := t.TempDir()
	known := map[string]bool{}
	var files []string
	for _, a := range alerts(t) {
		known[a.Alert] = true
		tests := testsOf(a.Alert)
		fires, silent := false, false
		for _, s := range scenarios() {
			for _, l := range s.looks {
				fires = fires || s.alert == a.Alert && l.fires > 0
				silent = silent || s.alert == a.Alert && l.fires == 0
			}
		}
		if !fires || !silent {
			t.Errorf("%s: a scenario in which it fires: %t, in which it is silent: %t", a.Alert, fires, silent)
		}
		files = append(files, write(t, dir, a.Alert, []rule{a}, unit{Tests: tests}))
	}
	for _, s := range scenarios() {
		if !known[s.alert] {
			t.Errorf("there is no alert %s", s.alert)
		}
	}
	passed, said := promtool(t, files)
	for _, f := range files {
		if !passed[f] {
			t.Errorf("%s failed", filepath.Base(f))
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// threshold is a number that something is compared with.
var threshold = regexp.MustCompile(`(?:[<>]=?|==|or) (\d+(?:\.\d+)?)`)

// A rule whose threshold is ten times what it was, or a tenth, must fail a scenario: else nobody would see that it was changed.
func TestAThresholdMovedTenfoldIsSeen(t *testing.T) {
	needsServers(t)
	dir := t.TempDir()
	what := map[string]string{}
	var files []string
	for _, a := range alerts(t) {
		for i, at := range threshold.FindAllStringSubmatchIndex(a.Expr, -1) {
			number := a.Expr[at[2]:at[3]]
			if v, err := strconv.ParseFloat(number, 64); err != nil || v == 0 {
				continue
			}
			for _, factor := range []string{"10", "0.1"} {
				mutant := a
				mutant.Expr = a.Expr[:at[2]] + product(number, factor) + a.Expr[at[3]:]
				file := write(t, dir, fmt.Sprintf("%s-%d-%s", a.Alert, i, factor), []rule{mutant}, unit{Tests: testsOf(a.Alert)})
				files = append(files, file)
				what[file] = fmt.Sprintf("%s with %s times %s in %q", a.Alert, number, factor, a.Expr)
			}
		}
		if a.Labels["severity"] == "" {
			t.Errorf("%s has no severity", a.Alert)
		}
	}
	if len(files) < 80 {
		t.Fatalf("only %d mutants: are the thresholds still found?", len(files))
	}
	passed, said := promtool(t, files)
	for _, f := range files {
		if passed[f] {
			t.Errorf("no scenario sees %s", what[f])
		}
		if !strings.Contains(said, f) {
			t.Errorf("promtool did not look at %s", f)
		}
	}
	t.Logf("%d mutants", len(files))
}

// What stands behind other mistakes that were made, or nearly: each must be seen.
func TestOtherMistakesAreSeen(t *testing.T) {
	needsServers(t)
	dir := t.TempDir()
	var files []string
	what := map[string]string{}
	mutate := func(alert, from, to string) {
		for _, a := range alerts(t) {
			if a.Alert != alert {
				continue
			}
			mutant := a
			if mutant.Expr = strings.Replace(a.Expr, from, to, 1); mutant.Expr == a.Expr {
				t.Fatalf("%s has no %q", alert, from)
			}
			f := write(t, dir, fmt.Sprint("mistake", len(files)), []rule{mutant}, unit{Tests: testsOf(alert)})
			files = append(files, f)
			what[f] = fmt.Sprintf("%s with %q for %q", alert, to, from)
		}
	}
	for _, alert := range []string{"ModelDrift", "ModelDriftSevere", "ModelDriftSmall"} {
		mutate(alert, " and fraud:drift_psi:1h > fraud:drift_psi_critical:1h", "")
		mutate(alert, "and fraud:drift_window_observations:1h >= 1000", "")
	}
	mutate("HighErrorRate", `,path!~"/health|/ready|/metrics"}[10m])) /`, `}[10m])) /`)
	mutate("DeadLetters", " or vector(0)", "")
	mutate("StreamLag", "max(", "min(")
	mutate("TransactionVolume", "sum by (model_version, bundle)", "max by (model_version, bundle)")
	mutate("TransactionVolume", "or sum by (model_version, bundle)", "or max by (model_version, bundle)")
	mutate("NoTraffic", "absent(fraud_predictions_total)", "absent(up)")
	mutate("AvailabilityBudgetBurnFast", " and fraud:error_ratio:5m > 14.4 * 0.001", "")
	passed, _ := promtool(t, files)
	for _, f := range files {
		if passed[f] {
			t.Errorf("no scenario sees %s", what[f])
		}
	}
}

// Prometheus and Alertmanager read their configurations, and alerts go where their severity says.
func TestConfigurationsAreRead(t *testing.T) {
	needsServers(t)
	for _, command := range [][]string{
		{"promtool", "check", "config", "../../deploy/prometheus/prometheus.yml"},
		{"amtool", "check-config", "../../deploy/alertmanager/alertmanager.yml"},
		{"amtool", "config", "routes", "test", "--config.file=../../deploy/alertmanager/alertmanager.yml", "--verify.receivers=pager", "alertname=ScorerDown", "severity=page"},
		{"amtool", "config", "routes", "test", "--config.file=../../deploy/alertmanager/alertmanager.yml", "--verify.receivers=tickets", "alertname=ModelDrift", "severity=ticket"},
		{"amtool", "config", "routes", "test", "--config.file=../../deploy/alertmanager/alertmanager.yml", "--verify.receivers=dashboard", "alertname=DriftBlind", "severity=info"},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	for _, a := range alerts(t) {
		if s := a.Labels["severity"]; s != "page" && s != "ticket" && s != "info" {
			t.Errorf("%s has the severity %q", a.Alert, s)
		}
	}
}

func TestEachAlertHasItsPlaceInTheRunbook(t *testing.T) {
	book, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://github.com/mlmonitor/mlmonitor/blob/main/docs/runbook.md#"
	headings := map[string]bool{}
	for line := range strings.Lines(string(book)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			for _, one := range strings.Split(name, ", ") {
				headings[one] = true
				// An alert leads to the heading that is its name; one of several needs a place to lead to.
				if anchor := `<a id="` + strings.ToLower(one) + `"></a>`; one != name && !strings.Contains(string(book), anchor) {
					t.Errorf("the runbook has no %s", anchor)
				}
			}
		}
	}
	all := alerts(t)
	if len(all) < 30 {
		t.Fatalf("only %d alerts", len(all))
	}
	for _, a := range all {
		if a.Annotations["runbook_url"] != url+strings.ToLower(a.Alert) {
			t.Errorf("%s leads to %s", a.Alert, a.Annotations["runbook_url"])
		}
		if a.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", a.Alert)
		}
		if !headings[a.Alert] {
			t.Errorf("the runbook has no %s", a.Alert)
		}
		delete(headings, a.Alert)
	}
	for name := range headings {
		t.Errorf("the runbook has %s, which is no alert", name)
	}
}

// Loki itself is asked them by make test-loki, which builds it.
func TestEachAlertHasASavedQuery(t *testing.T) {
	text, err := os.ReadFile("../../deploy/loki/queries.md")
	if err != nil {
		t.Fatal(err)
	}
	saved := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if names, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			for name := range strings.SplitSeq(names, ", ") {
				saved[name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !saved[a.Alert] {
			t.Errorf("deploy/loki/queries.md has no query for %s", a.Alert)
		}
	}
}
