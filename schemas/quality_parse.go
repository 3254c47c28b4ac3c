package schemas

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// What each kind of rule may say beside name, rule, severity and limit.
var ruleKeys = map[RuleKind][]string{
	RuleRange: {"feature", "min", "max"}, RuleSet: {"feature", "in"}, RuleMissing: {"feature"}, RuleFreshness: {"behind", "ahead"},
	RuleDuplicates: {"memory"}, RuleSequence: {"feature", "memory"}, RuleVolume: {"min", "max"},
}

// Rules that look at many records.
var windowRules = []RuleKind{RuleDuplicates, RuleSequence, RuleVolume}

// quality reads the contract's list of rules, after its features.
func (r *contractReader) quality(c *Contract, n ast.Node) {
	c.ownRules()
	if n == nil {
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 || len(list.Values) > MaxRules {
		r.fail(n, "quality must be a list of 1 to %d rules", MaxRules)
		return
	}
	names := map[string]bool{}
	for _, own := range c.rules {
		names[own.Name] = true
	}
	for _, n := range list.Values {
		if r.err != nil {
			return
		}
		rule := r.rule1(c, n)
		if names[rule.Name] {
			r.fail(n, "there are two quality rules %q", rule.Name)
		}
		names[rule.Name] = true
		if !slices.Contains(windowRules, rule.Kind) {
			c.recordRules = append(c.recordRules, len(c.rules))
		}
		c.rules = append(c.rules, rule)
	}
}

// rule1 reads one rule.
func (r *contractReader) rule1(c *Contract, n ast.Node) Rule {
	values := r.block(n, "a quality rule", "name", "rule", "severity", "limit", "feature", "min", "max", "in", "behind", "ahead", "memory")
	rule := Rule{Name: r.text(r.need(values, "name", "a quality rule", n), "a quality rule's name"), Severity: Count, Limit: math.NaN(), Feature: -1, Min: math.Inf(-1), Max: math.Inf(1)}
	what := fmt.Sprintf("quality rule %q", rule.Name)
	kinds := map[string]RuleKind{}
	for kind := range ruleKeys {
		kinds[string(kind)] = kind
	}
	rule.Kind = choice(r, r.need(values, "rule", what, n), what+": rule", kinds)
	if values["severity"] != nil {
		rule.Severity = choice(r, values["severity"], what+": severity", map[string]Severity{"count": Count, "flag": Flag, "dead-letter": DeadLetter})
	}
	if r.err != nil {
		return rule
	}
	for key, value := range values {
		if !slices.Contains(append([]string{"name", "rule", "severity", "limit"}, ruleKeys[rule.Kind]...), key) {
			r.fail(value, "%s: %q is not for a rule of this kind", what, key)
		}
	}
	if rule.Severity != Count && slices.Contains(windowRules, rule.Kind) {
		r.fail(values["severity"], "%s: only count is for a rule that looks at many records: a verdict is a function of its own", what)
	}
	if at := values["limit"]; at != nil {
		if rule.Limit = r.float(at, what+": limit"); !(rule.Limit >= 0 && rule.Limit <= 1) {
			r.fail(at, "%s: limit is a share, 0 to 1", what)
		}
	}
	if values["feature"] != nil || slices.Contains([]RuleKind{RuleRange, RuleSet, RuleMissing}, rule.Kind) {
		name := r.text(r.need(values, "feature", what, n), what+": feature")
		rule.Feature = slices.IndexFunc(c.features, func(f feature) bool { return f.name == name })
		if rule.Feature < 0 {
			r.fail(n, "%s: the contract has no feature %q", what, name)
			return rule
		}
	}
	r.ruleBounds(c, &rule, values, n, what)
	rule.finding = "quality:" + rule.Name
	return rule
}

func (r *contractReader) ruleBounds(c *Contract, rule *Rule, values map[string]ast.Node, n ast.Node, what string) {
	if rule.Kind == RuleRange || rule.Kind == RuleVolume {
		if values["min"] != nil {
			rule.Min = r.float(values["min"], what+": min")
		}
		if values["max"] != nil {
			rule.Max = r.float(values["max"], what+": max")
		}
		if values["min"] == nil && values["max"] == nil || rule.Min > rule.Max {
			r.fail(n, "%s: it needs a min, a max or both, and min must not be above max", what)
		}
	}
	switch rule.Kind {
	case RuleRange:
		rule.low, rule.high = rule.Min, rule.Max
		if c.features[rule.Feature].kind == kindCategory {
			r.fail(n, "%s: a category has no range, use the rule set", what)
		}
	case RuleSet:
		rule.values = r.ruleValues(&c.features[rule.Feature], r.need(values, "in", what, n), what)
	case RuleFreshness:
		rule.behind, rule.ahead = math.MaxInt64, math.MaxInt64
		if values["behind"] == nil && values["ahead"] == nil {
			r.fail(n, "%s: it needs behind, ahead or both, as 1h", what)
		}
		if values["behind"] != nil {
			rule.behind = r.duration(values["behind"], what+": behind")
		}
		if values["ahead"] != nil {
			rule.ahead = r.duration(values["ahead"], what+": ahead")
		}
	case RuleDuplicates, RuleSequence:
		at := r.need(values, "memory", what, n)
		if at == nil {
			return
		}
		memory := r.float(at, what+": memory")
		if !(memory >= 1 && memory <= MaxRuleMemory && memory == math.Trunc(memory)) {
			r.fail(at, "%s: memory is how many are remembered, 1 to %d", what, MaxRuleMemory)
			return
		}
		rule.Memory = int(memory)
	}
}

// ruleValues reads a list of values: of a category as they stand in events, of others as numbers.
func (r *contractReader) ruleValues(f *feature, n ast.Node, what string) map[float64]bool {
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 || len(list.Values) > MaxCategories {
		if n != nil {
			r.fail(n, "%s: in must be a list of 1 to %d values", what, MaxCategories)
		}
		return nil
	}
	values := map[float64]bool{}
	for _, at := range list.Values {
		if f.kind != kindCategory {
			values[r.float(at, what+": in")] = true
			continue
		}
		var code float64
		known := false
		if s, isText := at.(*ast.StringNode); isText {
			code, known = f.texts[s.Value]
		} else {
			number := r.decimal(at, what+": in")
			v, _ := number.integer()
			code, known = f.integers[v]
		}
		if !known {
			r.fail(at, "%s: %s is none of the feature's codes", what, describe(at))
		}
		values[code] = true
	}
	return values
}

func (r *contractReader) duration(n ast.Node, what string) time.Duration {
	text := r.text(n, what)
	d, err := time.ParseDuration(text)
	if r.err == nil && (err != nil || d < 0) {
		r.fail(n, "%s is %q: write a time as 90s, 10m or 24h", what, text)
	}
	return d
}
