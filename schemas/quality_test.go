package schemas

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const qualityContract = contractHead + `  - {name: amount, path: amount, type: number, domain: {min: 0, max: 1000}, outside: flag}
  - {name: channel, path: channel, type: category, codes: {pos: 0, web: 1, app: 2}, unknown: {code: 3}, missing: {default: 3}}
  - {name: distance, path: distance_km, type: number, missing: nan}
  - {name: count, path: velocity.count_1h, type: integer}
quality:
  - {name: usual_amount, rule: range, feature: amount, min: 1, max: 500, severity: flag}
  - {name: huge_amount, rule: range, feature: amount, max: 900, severity: dead-letter}
  - {name: at_terminals, rule: set, feature: channel, in: [pos, app]}
  - {name: few, rule: set, feature: count, in: [1, 2, 3]}
  - {name: distance_known, rule: missing, feature: distance, limit: 0.25}
  - {name: fresh, rule: freshness, behind: 1h, ahead: 5m, severity: flag}
  - {name: once, rule: duplicates, memory: 1000}
  - {name: forward, rule: sequence, memory: 1000}
  - {name: busy, rule: volume, min: 1, max: 5000}
`

func TestRulesAreTheFeaturesOwnAndTheContractsList(t *testing.T) {
	var got []string
	for _, r := range mustContract(t, qualityContract).Rules() {
		got = append(got, r.Name+" "+string(r.Severity))
	}
	want := []string{"type dead-letter", "missing:amount dead-letter", "range:amount flag", "set:channel flag", "missing:count dead-letter", "usual_amount flag", "huge_amount dead-letter",
		"at_terminals count", "few count", "distance_known count", "fresh flag", "once count", "forward count", "busy count"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestManyFeaturesShareTheirRules(t *testing.T) {
	var b strings.Builder
	b.WriteString(contractHead)
	for i := range 200 {
		fmt.Fprintf(&b, "  - {name: f%d, path: a%d, type: number, domain: {min: 0}, outside: flag}\n", i, i)
	}
	c := mustContract(t, b.String())
	if len(c.Rules()) != 3 {
		t.Errorf("%d rules: the 400 of the features must be two", len(c.Rules()))
	}
}

func TestARuleIsAppliedByItsSeverity(t *testing.T) {
	c := mustContract(t, qualityContract)
	at := time.Date(2026, 1, 5, 10, 11, 12, 345e6, time.UTC)
	for _, e := range []struct {
		name      string
		from, to  string
		timestamp time.Time
		broken    []string
		findings  []string
		refusedBy string
	}{
		{"nothing is wrong", "", "", at, nil, nil, ""},
		{"without a timestamp nothing is known of freshness", "", "", time.Time{}, nil, nil, ""},
		{"flagged", `"amount":12.5`, `"amount":600`, at, []string{"usual_amount"}, []string{"quality:usual_amount"}, ""},
		{"refused", `"amount":12.5`, `"amount":901`, at, nil, nil, "huge_amount"},
		{"the domain and the list", `"amount":12.5`, `"amount":-1`, at, []string{"range:amount", "usual_amount"}, []string{"outside:amount", "quality:usual_amount"}, ""},
		{"a set of categories", `"channel":"pos"`, `"channel":"web"`, at, []string{"at_terminals"}, nil, ""},
		{"an unknown category", `"channel":"pos"`, `"channel":"fax"`, at, []string{"set:channel", "at_terminals"}, []string{"unknown:channel"}, ""},
		{"a set of numbers", `"count_1h":1`, `"count_1h":4`, at, []string{"few"}, nil, ""},
		{"missing where that is allowed", `"distance_km":3.2`, `"distance_km":null`, at, []string{"distance_known"}, []string{"missing:distance"}, ""},
		{"missing where it is not", `"count_1h":1,`, ``, at, nil, nil, "missing:count"},
		{"of another type", `"amount":12.5`, `"amount":"12.5"`, at, nil, nil, "type"},
		{"too old", "", "", at.Add(time.Hour + time.Millisecond), []string{"fresh"}, []string{"quality:fresh"}, ""},
		{"just not too old", "", "", at.Add(time.Hour), nil, nil, ""},
		{"from the future", "", "", at.Add(-5*time.Minute - time.Millisecond), []string{"fresh"}, []string{"quality:fresh"}, ""},
	} {
		tx := Transaction{Timestamp: e.timestamp}
		data := event
		if e.from != "" {
			if data = strings.Replace(event, e.from, e.to, 1); data == event {
				t.Fatalf("%s: the event has no %s", e.name, e.from)
			}
		}
		err := c.NewDecoder().Decode([]byte(data), make([]float64, 4), &tx)
		var refused *Error
		if errors.As(err, &refused) {
			if got := c.Rules()[refused.Rule].Name; got != e.refusedBy {
				t.Errorf("%s: refused by rule %q (%v), want %q", e.name, got, err, e.refusedBy)
			}
			if (refused.Class == QualityRule) != (e.refusedBy == "huge_amount") {
				t.Errorf("%s: class %s", e.name, refused.Class)
			}
			continue
		}
		var broken []string
		for _, i := range tx.Broken {
			broken = append(broken, c.Rules()[i].Name)
		}
		if e.refusedBy != "" || !slices.Equal(broken, e.broken) || !slices.Equal(tx.Findings, e.findings) {
			t.Errorf("%s: breaks %v, findings %v (%v); want %v, %v, refused by %q", e.name, broken, tx.Findings, err, e.broken, e.findings, e.refusedBy)
		}
	}
}

func TestLimitsOfRulesAreRead(t *testing.T) {
	for _, r := range mustContract(t, qualityContract).Rules() {
		switch r.Name {
		case "distance_known":
			if r.Limit != 0.25 {
				t.Errorf("limit %v", r.Limit)
			}
		case "busy":
			if r.Min != 1 || r.Max != 5000 {
				t.Errorf("volume %v to %v", r.Min, r.Max)
			}
		case "once", "forward":
			if r.Memory != 1000 {
				t.Errorf("%s remembers %d", r.Name, r.Memory)
			}
		}
		if r.Name != "distance_known" && !math.IsNaN(r.Limit) {
			t.Errorf("%s has the limit %v", r.Name, r.Limit)
		}
	}
}
