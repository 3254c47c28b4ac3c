package drift

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/schemas"
)

func rules(t *testing.T, quality string) []schemas.Rule {
	t.Helper()
	c, err := schemas.ParseContract([]byte(`version: 1
event:
  transaction_id: id
  key: customer
  event_time: {path: time, format: unix_ms}
  amount: amount
features:
  - {name: amount, path: amount, type: number, domain: {min: 0}, outside: flag}
quality:
` + quality))
	if err != nil {
		t.Fatal(err)
	}
	return c.Rules()
}

func TestMemoryFindsDuplicatesAndStepsBackAmongTheLast(t *testing.T) {
	all := rules(t, "  - {name: once, rule: duplicates, memory: 100}\n  - {name: forward, rule: sequence, memory: 100}\n  - {name: rising, rule: sequence, feature: amount, memory: 100}\n")
	m := NewMemory(all)
	check := func(id, key string, at int64, amount float64, want ...string) {
		t.Helper()
		var got []string
		for _, i := range m.Check(&schemas.Transaction{ID: []byte(id), Key: []byte(key), Time: time.UnixMilli(at)}, []float64{amount}, nil) {
			got = append(got, all[i].Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s of %s at %d: breaks %v, want %v", id, key, at, got, want)
		}
	}
	check("1", "a", 10, 1)
	check("1", "b", 10, 1, "once") // within the batch
	m.Abort()
	check("1", "a", 10, 1) // it comes again
	check("2", "a", 9, 1, "forward")
	check("3", "a", 9, 0.5, "forward", "rising") // the latest counts, not the last
	check("4", "b", 1, 0)                        // of another key
	m.Commit()
	check("1", "a", 10, 1, "once")
	m.Abort()
	for i := range 1000 { // older ones are forgotten, some hundred are not
		check(fmt.Sprint("x", i), fmt.Sprint("k", i), 1, 1)
		m.Commit()
	}
	check("1", "a", 1, 0)
	check("x950", "k950", 0, 0, "once", "forward", "rising")
	for i, r := range m.recent {
		if n := len(r.now) + len(r.before); n > 200 {
			t.Errorf("%s remembers %d, twice 100 are allowed", m.rules[i].Name, n)
		}
	}
	if NewMemory(rules(t, "  - {name: busy, rule: volume, min: 1}\n")) != nil {
		t.Error("there is a memory although no rule needs it")
	}
}

func TestQualityIsCountedByRule(t *testing.T) {
	q := NewQuality(rules(t, "  - {name: usual, rule: range, feature: amount, max: 10, limit: 0.1}\n  - {name: busy, rule: volume, min: 1, max: 9}\n"))
	c := q.NewCounts()
	c.AddScored(nil)
	c.AddScored([]int{2, 3}) // range:amount and usual
	c.AddRefused(0)
	c.AddRefused(1)  // missing:amount
	c.AddRefused(-1) // the model gave no score
	q.Commit(c)
	c.Reset()
	c.AddScored(nil)
	q.Commit(c)
	c.AddScored(nil) // never committed
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(q.Collector("3", "sha256:0123456789abcdef"))
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP fraud_quality_checks_total Records that were held to a quality rule of the contract, counted when their Kafka transaction committed.
# TYPE fraud_quality_checks_total counter
fraud_quality_checks_total{bundle="0123456789ab",model_version="3",rule="missing:amount",severity="dead-letter"} 4
fraud_quality_checks_total{bundle="0123456789ab",model_version="3",rule="range:amount",severity="flag"} 3
fraud_quality_checks_total{bundle="0123456789ab",model_version="3",rule="type",severity="dead-letter"} 6
fraud_quality_checks_total{bundle="0123456789ab",model_version="3",rule="usual",severity="count"} 3
# HELP fraud_quality_failures_total Records that broke it.
# TYPE fraud_quality_failures_total counter
fraud_quality_failures_total{bundle="0123456789ab",model_version="3",rule="missing:amount",severity="dead-letter"} 1
fraud_quality_failures_total{bundle="0123456789ab",model_version="3",rule="range:amount",severity="flag"} 1
fraud_quality_failures_total{bundle="0123456789ab",model_version="3",rule="type",severity="dead-letter"} 1
fraud_quality_failures_total{bundle="0123456789ab",model_version="3",rule="usual",severity="count"} 1
# HELP fraud_quality_limit_ratio Share of records that may break the rule, where the contract says one.
# TYPE fraud_quality_limit_ratio gauge
fraud_quality_limit_ratio{bundle="0123456789ab",model_version="3",rule="usual"} 0.1
# HELP fraud_quality_volume_limit Transactions a second over all replicas that the contract expects at least and at most.
# TYPE fraud_quality_volume_limit gauge
fraud_quality_volume_limit{bound="max",bundle="0123456789ab",model_version="3"} 9
fraud_quality_volume_limit{bound="min",bundle="0123456789ab",model_version="3"} 1
`))
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
