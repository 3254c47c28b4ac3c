// Package reports shows a comparison of transactions with a profile: as JSON, and as one HTML file that needs nothing else. It is pure.
package reports

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Source says what is compared.
type Source struct {
	Bundle schemas.BundleID
	What   string // such as the topic and its range
}

// Number is a figure that may be undefined: null in JSON, a dash in HTML.
type Number float64

// MarshalJSON writes null for what is no number.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// Report is the whole. Its JSON names are stable.
type Report struct {
	Bundle       schemas.BundleID `json:"bundle"`
	Source       string           `json:"source"`
	From         *time.Time       `json:"from"` // event time of the stretches
	To           *time.Time       `json:"to"`
	Transactions int64            `json:"transactions"` // with a verdict
	Early        int64            `json:"early"`        // of these, ahead of their records' time: in no stretch of the timeline
	Reference    int64            `json:"reference_transactions"`
	Alpha        float64          `json:"alpha"`  // probability that chance alone raises an alarm of any feature
	Tested       int              `json:"tested"` // features
	Verdict      drift.Level      `json:"level"`  // the worst of any feature
	Features     []Feature        `json:"features"`
	Quality      []Rule           `json:"quality"`
	Order        []string         `json:"timeline_features"` // of the figures of each stretch
	Timeline     []Stretch        `json:"timeline"`
}

// Feature is one row of the ranking, the worst first.
type Feature struct {
	Name              string      `json:"feature"`
	Level             drift.Level `json:"level"`
	Why               string      `json:"why,omitempty"`
	PSI               Number      `json:"psi"`
	Critical          Number      `json:"psi_critical"`
	P                 Number      `json:"p"`
	Bonferroni        Number      `json:"p_bonferroni"`
	BenjaminiHochberg Number      `json:"p_benjamini_hochberg"`
	Observations      Number      `json:"observations"`
	Effective         Number      `json:"effective_observations"`
	ReferenceN        Number      `json:"effective_reference_observations"`
	DesignEffect      Number      `json:"design_effect"`
	ChiSquared        Number      `json:"chi_squared"`
	ChiSquaredP       Number      `json:"chi_squared_p"`
	JensenShannon     Number      `json:"jensen_shannon"`
	Hellinger         Number      `json:"hellinger"`
	TotalVariation    Number      `json:"total_variation"`
	LInfinity         Number      `json:"l_infinity"`
	KolmogorovSmirnov Number      `json:"kolmogorov_smirnov_binned"`
	Wasserstein       Number      `json:"wasserstein_bins"`
	Bins              []Bin       `json:"bins"`
}

// Bin is one bin of a feature.
type Bin struct {
	Name           string  `json:"bin"`
	Range          string  `json:"range"`
	Reference      int64   `json:"reference"`
	Current        int64   `json:"current"`
	ReferenceShare float64 `json:"reference_share"`
	CurrentShare   Number  `json:"current_share"`
}

// Rule is what became of one quality rule.
type Rule struct {
	Name     string            `json:"rule"`
	Kind     schemas.RuleKind  `json:"kind"`
	Severity schemas.Severity  `json:"severity"`
	Checks   int64             `json:"checks"`
	Failures int64             `json:"failures"`
	Share    Number            `json:"failure_share"`
	Limit    Number            `json:"limit"`
	Holds    bool              `json:"holds"` // within its limit; without one, 1 % of records may break it
	Bounds   map[string]Number `json:"bounds,omitempty"`
	Found    Number            `json:"per_second"` // of volume
}

// Stretch is one stretch of event time, with the PSI of each feature, in the order of timeline_features.
type Stretch struct {
	From         time.Time     `json:"from"`
	To           time.Time     `json:"to"`
	Transactions int64         `json:"transactions"`
	PSI          []Number      `json:"psi"`
	Levels       []drift.Level `json:"levels"`
}

// defaultLimit is the share of records that may break a rule that says none: the objective is a pass rate of 99 %.
const defaultLimit = 0.01

// severity of levels, the worst first.
var order = []drift.Level{drift.Severe, drift.Warn, drift.Small, drift.Stable, drift.Untested, drift.TooFew}

// New makes a report of a timeline, and of quality counts under the contract's rules.
func New(source Source, p *drift.Profile, t *drift.Timeline, rules []schemas.Rule, quality *drift.QualityCounts) *Report {
	total, early := t.Total()
	compared := p.Compare(total, drift.DefaultAlpha)
	r := &Report{Bundle: source.Bundle, Source: source.What, Transactions: total.Transactions, Early: early, Reference: p.Observations, Alpha: compared.Alpha, Tested: compared.Tested}
	stretches := t.Stretches()
	for _, w := range stretches {
		s := Stretch{From: w.From, To: w.To, Transactions: w.Counts.Transactions}
		for _, res := range p.Compare(w.Counts, drift.DefaultAlpha).Results {
			s.PSI, s.Levels = append(s.PSI, Number(res.PSI)), append(s.Levels, res.Level)
		}
		r.Timeline = append(r.Timeline, s)
	}
	if n := len(stretches); n > 0 {
		r.From, r.To = &stretches[0].From, &stretches[n-1].To
	}
	for i := range compared.Results {
		r.Features = append(r.Features, feature(&compared.Results[i]))
		r.Order = append(r.Order, compared.Results[i].Feature)
	}
	slices.SortStableFunc(r.Features, func(a, b Feature) int {
		if d := cmp.Compare(slices.Index(order, a.Level), slices.Index(order, b.Level)); d != 0 {
			return d
		}
		return -cmp.Compare(a.PSI/a.Critical, b.PSI/b.Critical)
	})
	if len(r.Features) > 0 {
		r.Verdict = r.Features[0].Level
	}
	r.rules(rules, quality, stretches)
	return r
}

func feature(res *drift.Result) Feature {
	f := Feature{Name: res.Feature, Level: res.Level, Why: res.Why, PSI: Number(res.PSI), Critical: Number(res.Critical), P: Number(res.P), Bonferroni: Number(res.Bonferroni),
		BenjaminiHochberg: Number(res.BenjaminiHochberg), Observations: Number(res.Observations), Effective: Number(res.Effective), ReferenceN: Number(res.ReferenceEffective),
		DesignEffect: Number(res.Reference.DesignEffect), ChiSquared: Number(res.ChiSquared), ChiSquaredP: Number(res.ChiSquaredP), JensenShannon: Number(res.JensenShannon),
		Hellinger: Number(res.Hellinger), TotalVariation: Number(res.TotalVariation), LInfinity: Number(res.LInfinity), KolmogorovSmirnov: Number(res.KolmogorovSmirnov),
		Wasserstein: Number(res.Wasserstein)}
	n := int64(0)
	for _, c := range res.Reference.Counts {
		n += c
	}
	for i, name := range res.Reference.Bins() {
		f.Bins = append(f.Bins, Bin{Name: name, Range: res.Reference.Range(i), Reference: res.Reference.Counts[i], Current: res.Current[i],
			ReferenceShare: float64(res.Reference.Counts[i]) / float64(n), CurrentShare: Number(float64(res.Current[i]) / res.Observations)})
	}
	return f
}

func (r *Report) rules(rules []schemas.Rule, quality *drift.QualityCounts, stretches []drift.Window) {
	for i, rule := range rules {
		line := Rule{Name: rule.Name, Kind: rule.Kind, Severity: rule.Severity, Limit: Number(rule.Limit), Share: Number(math.NaN()), Found: Number(math.NaN())}
		if rule.Kind == schemas.RuleVolume {
			line.volume(rule, stretches)
			r.Quality = append(r.Quality, line)
			continue
		}
		line.Checks, line.Failures = quality.Checks(i), quality.Broken[i]
		limit := rule.Limit
		if math.IsNaN(limit) {
			limit = defaultLimit
		}
		line.Share = Number(float64(line.Failures) / float64(line.Checks))
		line.Holds = line.Checks == 0 || float64(line.Failures) <= limit*float64(line.Checks)
		r.Quality = append(r.Quality, line)
	}
}

// volume is judged over the stretches: their checks are those between the first and the last, which are cut off somewhere.
func (line *Rule) volume(rule schemas.Rule, stretches []drift.Window) {
	line.Bounds = map[string]Number{"min": Number(rule.Min), "max": Number(rule.Max)}
	sum, seconds := 0.0, 0.0
	for i := 1; i < len(stretches)-1; i++ {
		w := stretches[i]
		length := w.To.Sub(w.From).Seconds()
		rate := float64(w.Counts.Transactions) / length
		line.Checks++
		if rate < rule.Min || rate > rule.Max {
			line.Failures++
		}
		sum, seconds = sum+float64(w.Counts.Transactions), seconds+length
	}
	line.Found = Number(sum / seconds)
	line.Share = Number(float64(line.Failures) / float64(line.Checks))
	line.Holds = line.Failures == 0
}
