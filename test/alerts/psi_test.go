package alerts

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/drift"
)

// vector is a case of the reference vectors whose counts are multiples of 60: at a constant rate an hour has exactly so many.
type vector struct {
	Name    string              `json:"name"`
	Bins    []string            `json:"bins"`
	Ref     []int64             `json:"ref"`
	Cur     []int64             `json:"cur"`
	Adopted map[string]*float64 `json:"adopted"`
}

func vectors(t *testing.T) map[string]vector {
	t.Helper()
	data, err := os.ReadFile("../../drift/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]vector{}
	for _, c := range file.Cases {
		if strings.HasPrefix(c.Name, "promql_") {
			all[c.Name] = c
		}
	}
	if len(all) < 6 {
		t.Fatalf("%d vectors for PromQL", len(all))
	}
	return all
}

func total(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// course is one test of the recording rules.
type course struct{ test }

func newCourse(name string) *course { return &course{test{Name: name, Interval: "1m"}} }

func (c *course) series(name, labels, values string) {
	c.Series = append(c.Series, series{name + labels, values})
}

// reference exports a profile from two replicas, in minutes that values says with %s.
func (c *course) reference(v vector, version, values string, null drift.Null, tested int) {
	for _, replica := range []string{"a", "b"} {
		for i, bin := range v.Bins {
			c.series("fraud_reference_bin_share", labels("feature", v.Name, "bin", bin, "model_version", version, "bundle", "d"+version, "instance", replica), strings.ReplaceAll(values, "%s", fmt.Sprint(float64(v.Ref[i])/float64(total(v.Ref)))))
		}
		horizon := null.Horizon
		if horizon == 0 {
			horizon = math.Inf(1)
		}
		for name, value := range map[string]float64{"observations": float64(total(v.Ref)), "design_effect": null.DesignEffect, "null_variance": null.Variance, "window_variance": null.WindowVariance,
			"horizon_observations": horizon, "spread_ratio": null.SpreadRatio, "tail_ratio": null.TailRatio, "tested": float64(tested)} {
			text := fmt.Sprint(value)
			if math.IsInf(value, 1) {
				text = "1e300" // promtool's series cannot be infinite all along
			}
			c.series("fraud_reference_"+name, labels("feature", v.Name, "model_version", version, "bundle", "d"+version, "instance", replica), strings.ReplaceAll(values, "%s", text))
		}
	}
}

// current counts a vector's hour again and again, a third of it in one replica; pattern gives the values of a replica that counts k a minute.
func (c *course) current(v vector, version string, pattern func(replica string, k int64) string) {
	for i, bin := range v.Bins {
		k := v.Cur[i] / 60
		for replica, part := range map[string]int64{"a": k / 3, "b": k - k/3} {
			c.series("fraud_feature_bin_total", labels("feature", v.Name, "bin", bin, "model_version", version, "bundle", "d"+version, "instance", replica), pattern(replica, part))
		}
	}
}

func steady(_ string, k int64) string { return fmt.Sprintf("0+%dx200", k) }

// near states that a recorded series is within a relative tolerance of a value.
func (c *course) near(record string, v vector, version, at string, want, tolerance float64) {
	selector := labels("feature", v.Name, "model_version", version, "bundle", "d"+version)
	c.Expressions = append(c.Expressions, statement{fmt.Sprintf("abs(%s%s - %v) <= bool %v", record, selector, want, tolerance*math.Abs(want)), at, []sample{{selector, 1}}})
}

// equal states all that is recorded of a vector.
func (c *course) equal(v vector, version, at string, null drift.Null, features int) {
	c.near("fraud:drift_psi:1h", v, version, at, *v.Adopted["psi"], 1e-11)
	c.near("fraud:drift_window_observations:1h", v, version, at, float64(total(v.Cur)), 1e-12)
	c.near("fraud:drift_bins:1h", v, version, at, *v.Adopted["occupied"], 0)
	// The critical value is that of package drift, or up to 5 % above it: Wilson and Hilferty's quantile.
	r := drift.Reference{Name: v.Name, Values: ordinals(len(v.Bins) - 2), Counts: v.Ref, Null: null}
	p := &drift.Profile{Version: 1, Observations: total(v.Ref)}
	for range features {
		p.Features = append(p.Features, r)
	}
	counts := p.NewCounts()
	copy(counts.Of(0), v.Cur)
	exact := p.Compare(counts, drift.DefaultAlpha).Results[0].Critical
	selector := labels("feature", v.Name, "model_version", version, "bundle", "d"+version)
	c.Expressions = append(c.Expressions,
		statement{fmt.Sprintf("fraud:drift_psi_critical:1h%s / %v >= bool 0.998", selector, exact), at, []sample{{selector, 1}}},
		statement{fmt.Sprintf("fraud:drift_psi_critical:1h%s / %v <= bool 1.05", selector, exact), at, []sample{{selector, 1}}})
}

func ordinals(n int) []float64 {
	var all []float64
	for i := range n {
		all = append(all, float64(i))
	}
	return all
}

func none(expr, at string) statement { return statement{expr, at, nil} }

// recordings are the tests of the rules of drift.
func recordings(t *testing.T) (all []test) {
	v := vectors(t)
	add := func(c *course) { all = append(all, c.test) }
	for _, one := range v {
		c := newCourse("equals the reference vector " + one.Name)
		null := drift.Independent(total(one.Ref))
		c.reference(one, "1", "%sx200", null, 1)
		c.current(one, "1", steady)
		c.equal(one, "1", "130m", null, 1)
		add(c)
	}
	one := v["promql_1"]
	independent := drift.Independent(total(one.Ref))

	for _, null := range []drift.Null{
		{DesignEffect: 3, Variance: 2e-4, SpreadRatio: 1, TailRatio: 1},
		{DesignEffect: 1.4, Variance: 2e-4, WindowVariance: 3e-4, SpreadRatio: 0.7, TailRatio: 0.5},
		{DesignEffect: 2, Variance: 1.2e-4, WindowVariance: 0.01, Horizon: 900, SpreadRatio: 0.3, TailRatio: 0.2},
	} {
		c := newCourse(fmt.Sprintf("the law of dependent transactions %+v", null))
		c.reference(one, "1", "%sx200", null, 1)
		c.current(one, "1", steady)
		c.equal(one, "1", "130m", null, 1)
		add(c)
	}

	c := newCourse("a counter that begins anew in one replica changes nothing")
	c.reference(one, "1", "%sx200", independent, 1)
	c.current(one, "1", func(replica string, k int64) string {
		if replica == "a" {
			return fmt.Sprintf("0+%dx89 %d+%dx110", k, k, k)
		}
		return steady(replica, k)
	})
	c.equal(one, "1", "130m", independent, 1)
	add(c)

	c = newCourse("a replica that joins late and one that leaves")
	c.reference(one, "1", "%sx200", independent, 1)
	whole := one
	whole.Cur = append([]int64{}, one.Cur...)
	for i, bin := range one.Bins {
		k := one.Cur[i] / 60
		c.series("fraud_feature_bin_total", labels("feature", one.Name, "bin", bin, "model_version", "1", "bundle", "d1", "instance", "a"), fmt.Sprintf("0+%dx100 stale", k))
		c.series("fraud_feature_bin_total", labels("feature", one.Name, "bin", bin, "model_version", "1", "bundle", "d1", "instance", "b"), fmt.Sprintf("_x98 0+%dx110", k))
	}
	c.near("fraud:drift_psi:1h", one, "1", "130m", *one.Adopted["psi"], 0.02)
	add(c)

	before, after := v["promql_0"], v["promql_5"]
	after.Name = before.Name
	first, second := drift.Independent(total(before.Ref)), drift.Independent(total(after.Ref))
	c = newCourse("a swap of bundles: each against its own reference, and the old one falls silent")
	c.reference(before, "1", "%sx60 stale", first, 1)
	c.reference(after, "2", "_x60 %sx140", second, 1)
	c.current(before, "1", func(_ string, k int64) string { return fmt.Sprintf("0+%dx60 stale", k) })
	c.current(after, "2", func(_ string, k int64) string { return fmt.Sprintf("_x59 0+%dx140", k) })
	c.equal(before, "1", "60m", first, 1)
	c.equal(after, "2", "130m", second, 1)
	c.Expressions = append(c.Expressions, none(`fraud:drift_psi:1h{model_version="1"}`, "130m"))
	add(c)

	c = newCourse("an empty window has no PSI: it is not zero")
	c.reference(one, "1", "%sx200", independent, 1)
	c.current(one, "1", func(string, int64) string { return "0x200" })
	c.Expressions = append(c.Expressions, none("fraud:drift_psi:1h", "130m"), none("fraud:drift_psi_critical:1h", "130m"))
	add(c)

	c = newCourse("what is not tested has a PSI, no critical value, and no share of alpha")
	c.reference(one, "1", "%sx200", independent, 1)
	c.current(one, "1", steady)
	untested := v["promql_4"]
	c.reference(untested, "1", "%sx200", drift.Independent(total(untested.Ref)), 0)
	c.current(untested, "1", steady)
	c.equal(one, "1", "130m", independent, 1)
	c.near("fraud:drift_psi:1h", untested, "1", "130m", *untested.Adopted["psi"], 1e-11)
	c.Expressions = append(c.Expressions, none(`fraud:drift_psi_critical:1h{feature="promql_4"}`, "130m"))
	add(c)

	c = newCourse("features share alpha")
	for _, name := range []string{"promql_0", "promql_1", "promql_4", "promql_5"} {
		c.reference(v[name], "1", "%sx200", drift.Independent(total(v[name].Ref)), 1)
		c.current(v[name], "1", steady)
		c.equal(v[name], "1", "130m", drift.Independent(total(v[name].Ref)), 4)
	}
	add(c)
	return all
}

func driftRules(t *testing.T) (all []rule) {
	for _, r := range allRules(t) {
		if strings.HasPrefix(r.Record, "fraud:drift_") || strings.HasPrefix(r.Record, "fraud:feature_") || strings.HasPrefix(r.Record, "fraud:reference_") {
			all = append(all, r)
		}
	}
	return all
}

func TestPSIInPromQLIsThatOfTheProgram(t *testing.T) {
	needsServers(t)
	file := write(t, t.TempDir(), "psi", driftRules(t), unit{Tests: recordings(t)})
	if passed, said := promtool(t, []string{file}); !passed[file] {
		t.Error(said)
	}
}

// What would be wrong with PSI in PromQL and look right: each must be seen.
func TestMistakesInPSIAreSeen(t *testing.T) {
	needsServers(t)
	dir := t.TempDir()
	unseen := map[string][]rule{} // the rules with a mistake, by what it is
	for _, m := range []struct{ record, from, to string }{
		{"fraud:feature_bin:increase1h", "sum by (feature, bin, model_version, bundle) (increase(fraud_feature_bin_total[1h]))", "max by (feature, bin, model_version, bundle) (increase(fraud_feature_bin_total[1h]))"},
		{"fraud:feature_bin:increase1h", "increase(", "delta("},
		{"fraud:feature_bin:share1h", "+ 0.5)", "+ 0.4)"},
		{"fraud:feature_bin:share1h", "0.5 * fraud:drift_bins:1h", "0 * fraud:drift_bins:1h"},
		{"fraud:reference_bin:count", "max by (feature, bin", "sum by (feature, bin"},
		{"fraud:drift_null_scale:1h", "max by (feature, model_version, bundle) (fraud_reference_design_effect)", "1"},
		{"fraud:drift_null_scale:1h", ", 1)", ", 1000)"},
		{"fraud:drift_t", "0.01 / count", "0.01 / 1 + 0 * count"},
		{"fraud:drift_df:1h", "and on (feature, model_version, bundle) max by (feature, model_version, bundle) (fraud_reference_tested) == 1", ""},
		{"fraud:drift_psi_critical:1h", "(fraud_reference_spread_ratio)", "(fraud_reference_spread_ratio) ^ 0"},
	} {
		rules := driftRules(t)
		found := false
		for i := range rules {
			if rules[i].Record == m.record {
				changed := strings.Replace(rules[i].Expr, m.from, m.to, 1)
				found = changed != rules[i].Expr
				rules[i].Expr = changed
			}
		}
		if !found {
			t.Fatalf("%s has no %q", m.record, m.from)
		}
		unseen[fmt.Sprintf("%s with %q for %q", m.record, m.to, m.from)] = rules
	}
	// Most are seen by many tests: only those that one did not see are put to the next.
	for _, one := range slices.Backward(recordings(t)) { // the last have most in them
		var files []string
		what := map[string]string{}
		for mistake, rules := range unseen {
			f := write(t, dir, fmt.Sprint("mistake", len(files)), rules, unit{Tests: []test{one}})
			files = append(files, f)
			what[f] = mistake
		}
		if len(files) == 0 {
			break
		}
		passed, said := promtool(t, files)
		for _, f := range files {
			if !strings.Contains(said, f) {
				t.Fatalf("promtool did not look at %s", f)
			}
			if !passed[f] {
				delete(unseen, what[f])
			}
		}
	}
	for mistake := range unseen {
		t.Errorf("no test sees %s", mistake)
	}
}

// From counters as scorers export them to the alert that names the feature.
func TestADriftedCounterRaisesTheAlertThatNamesIt(t *testing.T) {
	needsServers(t)
	rules := driftRules(t)
	for _, a := range alerts(t) {
		if strings.HasPrefix(a.Alert, "ModelDrift") {
			rules = append(rules, a)
		}
	}
	c := newCourse("one of two features moves")
	moved := vector{Name: "moved", Bins: []string{"x", "y", "other", "missing"}, Ref: []int64{10_000, 10_000, 0, 0}, Cur: []int64{3600, 7200, 0, 0}}
	stays := vector{Name: "stays", Bins: moved.Bins, Ref: moved.Ref, Cur: []int64{5400, 5400, 0, 0}}
	for _, v := range []vector{moved, stays} {
		c.reference(v, "1", "%sx300", drift.Independent(20_000), 1)
		for i, bin := range v.Bins {
			before, now := stays.Cur[i]/60, v.Cur[i]/60
			c.series("fraud_feature_bin_total", labels("feature", v.Name, "bin", bin, "model_version", "1", "bundle", "d1", "instance", "a"), fmt.Sprintf("0+%dx119 %d+%dx120 %d+%dx60", before, 120*before, now, 120*before+121*now, before))
		}
	}
	firing := func(alert, feature string) string {
		return fmt.Sprintf(`count(ALERTS{alertname=%q,alertstate="firing",feature=%q}) or vector(0)`, alert, feature)
	}
	for _, alert := range []string{"ModelDrift", "ModelDriftSmall", "ModelDriftSevere"} {
		c.Expressions = append(c.Expressions, is("119m", firing(alert, "moved"), 0), is("235m", firing(alert, "stays"), 0))
	}
	c.Expressions = append(c.Expressions, is("235m", firing("ModelDrift", "moved"), 1), is("235m", firing("ModelDriftSmall", "moved"), 1), is("235m", firing("ModelDriftSevere", "moved"), 0), is("299m", firing("ModelDrift", "moved"), 0))
	file := write(t, t.TempDir(), "whole", rules, unit{Tests: []test{c.test}})
	if passed, said := promtool(t, []string{file}); !passed[file] {
		t.Error(said)
	}
}

// The recorded ratios are those of all replicas, the operations pages left out, and 0 where nothing has failed yet.
func TestRatiosOfTheObjectives(t *testing.T) {
	needsServers(t)
	var rules []rule
	windows := 0
	for _, r := range allRules(t) {
		if strings.HasPrefix(r.Record, "fraud:error_ratio:") || strings.HasPrefix(r.Record, "fraud:slow_ratio:") {
			rules = append(rules, r)
			windows++
		}
	}
	if windows != 14 {
		t.Fatalf("%d ratios", windows)
	}
	c := newCourse("two replicas")
	for _, replica := range []string{"a", "b"} {
		c.series("http_requests_total", labels("code", "200", "path", "/v1/score", "instance", replica), "0+49x500")
		c.series("http_requests_total", labels("code", "503", "path", "/ready", "instance", replica), "0+1000x500")
		c.series("mlmonitor_verdict_latency_seconds_bucket", labels("le", "0.1", "instance", replica), "0+30x500")
		c.series("mlmonitor_verdict_latency_seconds_count", labels("instance", replica), "0+40x500")
	}
	c.series("http_requests_total", labels("code", "500", "path", "/v1/score", "instance", "a"), "0+2x500")
	quiet := newCourse("nothing has failed yet")
	quiet.series("http_requests_total", labels("code", "200", "path", "/v1/score"), "0+49x500")
	for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
		c.Expressions = append(c.Expressions, is("400m", fmt.Sprintf("abs(sum(fraud:error_ratio:%s) - 0.02) < bool 1e-12", w), 1), is("400m", fmt.Sprintf("abs(sum(fraud:slow_ratio:%s) - 0.25) < bool 1e-12", w), 1))
		quiet.Expressions = append(quiet.Expressions, is("400m", fmt.Sprintf("sum(fraud:error_ratio:%s)", w), 0), none("fraud:slow_ratio:"+w, "400m"))
	}
	file := write(t, t.TempDir(), "ratios", rules, unit{Tests: []test{c.test, quiet.test}})
	if passed, said := promtool(t, []string{file}); !passed[file] {
		t.Error(said)
	}
}
