package schemas

import (
	"math"
	"time"
)

// RuleKind is what a quality rule looks at.
type RuleKind string

// The kinds of rules. The first four and Freshness look at one record; a verdict may depend on them. The others look at many, so that they can only count:
// a verdict is a function of its record.
const (
	RuleType       RuleKind = "type"       // the event is JSON of the types that the contract says
	RuleRange      RuleKind = "range"      // a number lies between two others
	RuleSet        RuleKind = "set"        // a value is one of some
	RuleMissing    RuleKind = "missing"    // a value is there
	RuleFreshness  RuleKind = "freshness"  // the event's time is not far from its record's
	RuleDuplicates RuleKind = "duplicates" // the transaction id was not among the last ones
	RuleSequence   RuleKind = "sequence"   // of one key, the value does not go back
	RuleVolume     RuleKind = "volume"     // so many transactions a second; judged over all replicas, by Prometheus and in reports
)

// Severity is what becomes of a record that breaks a rule.
type Severity string

// The severities.
const (
	Count      Severity = "count"       // it is counted
	Flag       Severity = "flag"        // it is scored, and its verdict has the finding "quality:NAME"
	DeadLetter Severity = "dead-letter" // it is not scored
)

// MaxRules bounds the rules that a contract states, and MaxRuleMemory what one may remember.
const (
	MaxRules      = 200
	MaxRuleMemory = 1_000_000
	maxOwnRules   = 300 // of the features' own; with more, those of a kind share a name, and so a time series
)

// Rule is a quality rule: one of the contract's quality list, or one that a feature's own clauses say.
type Rule struct {
	Name     string
	Kind     RuleKind
	Severity Severity
	Limit    float64 // share of records that may break it before somebody is told; NaN where none is said
	Feature  int     // index of the feature; -1 where it is of none
	Memory   int     // of duplicates and sequence: ids or keys that are remembered
	Min, Max float64 // of volume, transactions a second; infinite where not said

	low, high float64          // of range
	values    map[float64]bool // of set
	behind    time.Duration    // of freshness
	ahead     time.Duration
	finding   string
}

// Rules gives all rules: Transaction.Broken and Error.Rule are indices of it. The first is of RuleType.
func (c *Contract) Rules() []Rule { return c.rules }

// ownRules are what the features' clauses say, in the order of the features. It notes their indices in the features.
func (c *Contract) ownRules() {
	none := math.NaN()
	c.rules = []Rule{{Name: "type", Kind: RuleType, Severity: DeadLetter, Limit: none, Feature: -1}}
	count := 0
	each := func(add func(f *feature, i int, kind RuleKind, severity Severity)) {
		for i := range c.features {
			f := &c.features[i]
			if f.missing.reject {
				add(f, i, RuleMissing, DeadLetter)
			}
			if f.bounded {
				add(f, i, RuleRange, severityOf(!f.flag))
			}
			if f.kind == kindCategory {
				add(f, i, RuleSet, severityOf(f.unknown.reject))
			}
		}
	}
	each(func(*feature, int, RuleKind, Severity) { count++ })
	shared := map[string]int{}
	each(func(f *feature, i int, kind RuleKind, severity Severity) {
		r := Rule{Name: string(kind) + ":" + f.name, Kind: kind, Severity: severity, Limit: none, Feature: i}
		if count > maxOwnRules {
			r.Name, r.Feature = string(kind)+":"+string(severity), -1
		}
		index, there := shared[r.Name]
		if !there {
			index = len(c.rules)
			shared[r.Name] = index
			c.rules = append(c.rules, r)
		}
		switch kind {
		case RuleMissing:
			f.missingRule = index
		case RuleRange:
			f.rangeRule = index
		case RuleSet:
			f.setRule = index
		}
	})
}

func severityOf(reject bool) Severity {
	if reject {
		return DeadLetter
	}
	return Flag
}

// holds checks a rule that looks at one record, of which the row is filled.
func (r *Rule) holds(row []float64, tx *Transaction) bool {
	switch r.Kind {
	case RuleRange:
		v := row[r.Feature]
		return v != v || v >= r.low && v <= r.high // a missing value is another rule's
	case RuleSet:
		v := row[r.Feature]
		return v != v || r.values[v]
	case RuleFreshness:
		if tx.Timestamp.IsZero() {
			return true
		}
		behind := tx.Timestamp.Sub(tx.Time)
		return behind <= r.behind && -behind <= r.ahead
	}
	return true
}

// checkRules applies the contract's own list to an event that was read; false when it is refused.
func (d *Decoder) checkRules() bool {
	c := d.contract
	for _, i := range c.recordRules {
		r := &c.rules[i]
		ok := true
		if r.Kind == RuleMissing {
			ok = d.marks[r.Feature] != markMissing
		} else {
			ok = r.holds(d.row, d.tx)
		}
		if ok {
			continue
		}
		switch r.Severity {
		case DeadLetter:
			d.fail(QualityRule, len(d.data), "breaks the contract's quality rule "+r.Name)
			d.err.Rule = i
			if r.Feature >= 0 {
				d.err.Path = c.features[r.Feature].path.String()
			}
			return false
		case Flag:
			d.tx.Findings = append(d.tx.Findings, r.finding)
		}
		d.broke(i)
	}
	return true
}
