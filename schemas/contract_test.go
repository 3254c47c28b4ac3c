package schemas

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContractNamesItsFeaturesInOrder(t *testing.T) {
	c := mustContract(t, simulatorContract)
	names := c.FeatureNames()
	want := []string{"amount", "age_days", "mcc", "card_present", "currency", "channel", "country", "distance_km", "hour", "weekday",
		"count_1h", "count_24h", "count_7d", "amount_24h", "amount_7d", "avg_amount_30d", "seconds_since_last", "terminal_fraud_7d",
		"new_terminal"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, name := range names {
		if is := name == "mcc" || name == "currency" || name == "channel" || name == "country"; c.CategoryFeature(i) != is {
			t.Errorf("CategoryFeature(%d), %s, is not %v", i, name, is)
		}
	}
}

func TestTheLargestContractIsRead(t *testing.T) {
	var b strings.Builder
	b.WriteString(contractHead)
	for i := range MaxFeatures {
		fmt.Fprintf(&b, "  - {name: f%d, path: a%d.b%d, type: number, missing: nan}\n", i, i%100, i)
	}
	c := mustContract(t, b.String())
	got, err := decode(c.NewDecoder(), []byte(event))
	if err != nil || len(got.Findings) != MaxFeatures {
		t.Errorf("%d findings, %v", len(got.Findings), err)
	}
	b.WriteString("  - {name: more, path: more, type: number}\n")
	if _, err := ParseContract([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "1 to 10000 features") {
		t.Errorf("one more: %v", err)
	}
}

const one = "  - {name: x, path: x, type: number}\n"

// badContracts are contracts with one fault, and what the error must say.
var badContracts = []struct{ yaml, want string }{
	{"", "one YAML document"},
	{"version: 1\n---\nversion: 1\n", "one YAML document"},
	{"- 1\n", "line 1: the contract must be a mapping of names to values, not a list"},
	{"a: [\n", "line 1: the YAML cannot be read: sequence end token"},
	{"version: \xff", "not UTF-8"},
	{contractHead + one + "more: 1\n", `line 9: the contract has the unknown key "more"`},
	{strings.Replace(contractHead, "version: 1", "version: 2", 1) + one, "line 1: version must be 1"},
	{strings.Replace(contractHead, "version: 1", "version: one", 1) + one, `line 1: version must be a number, written as in JSON, not the text "one"`},
	{strings.Replace(contractHead, "version: 1\n", "", 1) + one, `the contract has no "version"`},
	{strings.Replace(contractHead, "  amount: amount\n", "", 1) + one, `event has no "amount"`},
	{strings.Replace(contractHead, "key: customer.id", "key: customer..id", 1) + one, "line 4: event.key must be 1 to 32 names joined by dots"},
	{strings.Replace(contractHead, "key: customer.id", "key: []", 1) + one, "line 4: event.key must be 1 to 32 names"},
	{strings.Replace(contractHead, "key: customer.id", "key: [1]", 1) + one, "line 4: a name in event.key must be a text, not 1; put it in quotes"},
	{strings.Replace(contractHead, "rfc3339", "iso", 1) + one, `line 5: event.event_time.format is "iso"; it must be one of rfc3339, unix_ms, unix_s`},
	{strings.Replace(contractHead, ", format: rfc3339", "", 1) + one, `line 5: event.event_time has no "format"`},
	{strings.Replace(contractHead, "{path: event_time, format: rfc3339}", "event_time", 1) + one, "line 5: event.event_time must be a mapping"},
	{contractHead + "  []\n", "features must be a list of 1 to 10000 features"},
	{contractHead + one + one, `line 9: the feature "x" is already on line 8`},
	{contractHead + "  - {path: x, type: number}\n", `line 8: a feature has no "name"`},
	{contractHead + "  - {name: x, type: number}\n", `line 8: feature "x" has no "path"`},
	{contractHead + "  - {name: x, path: x}\n", `line 8: feature "x" has no "type"`},
	{contractHead + "  - {name: 1, path: x, type: number}\n", "line 8: a feature's name must be a text, not 1"},
	{contractHead + "  - {name: \"\", path: x, type: number}\n", "line 8: a feature's name must have 1 to 256 bytes"},
	{contractHead + "  - {name: \"a\\nb\", path: x, type: number}\n", "line 8: a feature's name has a control character"},
	{contractHead + "  - {name: x, path: x, type: float}\n", `line 8: feature "x": type is "float"; it must be one of boolean, category, integer, number, time`},
	{contractHead + "  - {name: x, path: x, type: number, type: number}\n", `line 8: a feature has the key "type" twice`},
	{contractHead + "  - {name: x, path: x, type: number, mising: nan}\n", `unknown key "mising"; known are name, path, type, missing`},
	{contractHead + "  - {name: x, path: x, type: number, missing: zero}\n", `line 8: feature "x": missing must be reject, nan or {default: number}, not the text "zero"`},
	{contractHead + "  - {name: x, path: x, type: number, missing: {default: .inf}}\n", "missing must be a number"},
	{contractHead + "  - {name: x, path: x, type: number, missing: {default: 1e999}}\n", "beyond float64"},
	{contractHead + "  - {name: x, path: x, type: number, missing: {default: 010}}\n", "missing must be a number, written as in JSON"},
	{contractHead + "  - {name: x, path: x, type: number, missing: {}}\n", `missing has no "default"`},
	{contractHead + "  - {name: x, path: x, type: number, domain: {min: 2, max: 1}}\n", "domain needs a min, a max or both"},
	{contractHead + "  - {name: x, path: x, type: number, domain: {}}\n", "domain needs a min, a max or both"},
	{contractHead + "  - {name: x, path: x, type: number, outside: flag}\n", `"outside" needs a "domain"`},
	{contractHead + "  - {name: x, path: x, type: number, domain: {min: 0}, outside: drop}\n", `outside is "drop"; it must be one of flag, reject`},
	{contractHead + "  - {name: x, path: x, type: number, codes: {a: 1}}\n", `"codes" is not for this type`},
	{contractHead + "  - {name: x, path: x, type: boolean, domain: {min: 0}}\n", `"domain" is not for this type`},
	{contractHead + "  - {name: x, path: x, type: time, format: unix_s}\n", `feature "x" has no "part"`},
	{contractHead + "  - {name: x, path: x, type: time, format: unix_s, part: hour, zone: Mars/Base}\n", `"Mars/Base" is no zone of the IANA database`},
	{contractHead + "  - {name: x, path: x, type: time, format: unix_s, part: hour, zone: Local}\n", `"Local" is no zone`},
	{contractHead + "  - {name: x, path: x, type: category}\n", `feature "x" has no "codes"`},
	{contractHead + "  - {name: x, path: x, type: category, codes: {}}\n", "codes must have 1 to 10000 entries"},
	{contractHead + "  - {name: x, path: x, type: category, codes: {a: 1.5}}\n", "codes must be an integer"},
	{contractHead + "  - {name: x, path: x, type: category, codes: {true: 1}}\n", "neither a text nor an integer; put it in quotes"},
	{contractHead + "  - {name: x, path: x, type: category, codes: {1e3: 1}}\n", "put 1e3 in quotes"},
	{contractHead + "  - {name: x, path: x, type: category, codes: {7: 1, 7: 1}}\n", `line 8: feature "x": codes: 7 is there twice`},
	{contractHead + "  - {name: x, path: x, type: category, codes: {a: 1}, unknown: {code: 1.5}}\n", "unknown must be an integer"},
	{contractHead + "  - {name: x, path: customer, type: number}\n", `event.key reads customer.id, but feature "x" reads customer`},
	{contractHead + "  - {name: x, path: amount.value, type: number}\n", `line 8: feature "x" reads amount.value, but event.amount reads amount`},
	{contractHead + "  - {name: x, path: amount, type: boolean}\n", `line 8: feature "x" and event.amount read amount as different types`},
	{contractHead + "  - &a {name: x, path: x, type: number}\n", "line 8: a contract has no YAML anchors"},
	{contractHead + "  - {name: !!str x, path: x, type: number}\n", "line 8: a contract has no YAML anchors"},
	{contractHead + one + "quality: 1\n", "line 9: quality must be a list of 1 to 200 rules"},
	{contractHead + one + "quality: [{rule: range}]\n", `line 9: a quality rule has no "name"`},
	{contractHead + one + "quality:\n  - {name: a, rule: mean}\n", `line 10: quality rule "a": rule is "mean"; it must be one of duplicates, freshness, missing, range, sequence, set, volume`},
	{contractHead + one + "quality:\n  - {name: a, rule: range, feature: y, min: 1}\n", `the contract has no feature "y"`},
	{contractHead + one + "quality:\n  - {name: a, rule: range, feature: x}\n", "it needs a min, a max or both"},
	{contractHead + one + "quality:\n  - {name: a, rule: range, feature: x, min: 2, max: 1}\n", "min must not be above max"},
	{contractHead + one + "quality:\n  - {name: a, rule: range, feature: x, min: 1, memory: 3}\n", `"memory" is not for a rule of this kind`},
	{contractHead + one + "quality:\n  - {name: a, rule: range, min: 1}\n", `quality rule "a" has no "feature"`},
	{contractHead + one + "quality:\n  - {name: a, rule: missing, feature: x, limit: 2}\n", "limit is a share, 0 to 1"},
	{contractHead + one + "quality:\n  - {name: type, rule: missing, feature: x}\n", `there are two quality rules "type"`},
	{contractHead + one + "quality:\n  - {name: a, rule: duplicates, memory: 10, severity: flag}\n", "only count is for a rule that looks at many records"},
	{contractHead + one + "quality:\n  - {name: a, rule: duplicates}\n", `quality rule "a" has no "memory"`},
	{contractHead + one + "quality:\n  - {name: a, rule: sequence, memory: 1000001}\n", "memory is how many are remembered, 1 to 1000000"},
	{contractHead + one + "quality:\n  - {name: a, rule: freshness}\n", "it needs behind, ahead or both"},
	{contractHead + one + "quality:\n  - {name: a, rule: freshness, behind: 5}\n", "behind must be a text, not 5"},
	{contractHead + one + "quality:\n  - {name: a, rule: freshness, behind: week}\n", "write a time as 90s, 10m or 24h"},
	{contractHead + one + "quality:\n  - {name: a, rule: set, feature: x, in: []}\n", "in must be a list of 1 to 10000 values"},
	{contractHead + "  - {name: c, path: c, type: category, codes: {a: 1}}\nquality:\n  - {name: a, rule: set, feature: c, in: [b]}\n", `the text "b" is none of the feature's codes`},
	{contractHead + "  - {name: c, path: c, type: category, codes: {a: 1}}\nquality:\n  - {name: a, rule: range, feature: c, min: 1}\n", "a category has no range"},
	{strings.Repeat("a: 1\n", 1<<17), "line 10051: more than 10050 names in one mapping"},
	{strings.Repeat("@", 1<<20), "line 1: the YAML cannot be read"},
	{strings.Repeat("[", 1<<19), "more than 8 brackets"},
	{strings.Repeat("a: ", 1<<18), "more than one name with a colon"},
	{strings.Repeat("- ", 1<<18), "indented by more than 64 columns"},
	{strings.Repeat("? ", 1<<18), "anchors, aliases, tags"},
	{strings.Repeat("#", MaxContractBytes+1), "1048577 bytes are more than 1048576"},
}

func TestABadContractIsRefusedWithLineAndReason(t *testing.T) {
	for _, c := range badContracts {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseContract([]byte(c.yaml))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.300s\ngives %v\nwant %s", c.yaml, err, c.want)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20+uint64(400*len(c.yaml)) {
			t.Errorf("%.60q: %d bytes allocated for %d", c.yaml, allocated, len(c.yaml))
		}
	}
}

func TestTwoFeaturesMayReadOnePath(t *testing.T) {
	c := mustContract(t, contractHead+"  - {name: a, path: amount, type: number}\n  - {name: b, path: [amount], type: integer}\n"+
		"  - {name: c, path: customer.id, type: category, codes: {c-00017: 4}}\n")
	got, err := decode(c.NewDecoder(), []byte(strings.Replace(event, "12.5", "12", 1)))
	if err != nil || !cmp.Equal(got.Row, []float64{12, 12, 4}) || got.Key != "c-00017" {
		t.Errorf("%v, %v", got, err)
	}
}
