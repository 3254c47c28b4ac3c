package drift

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// Bounds of a profile. Every bin is one time series for each replica, so they bound what Prometheus has to keep.
const (
	MaxFeatures = 2000
	MaxBins     = 32    // of a feature, those of missing and of other values counted
	MaxAllBins  = 20000 // of all features
	maxNameLen  = 200
)

// Names of what a verdict adds to the features.
const (
	Probability = "verdict.probability"
	Decision    = "verdict.decision"
)

// Profile is the reference distribution of a bundle: how each feature, the probability and the decision were distributed where the model was trained or
// measured. It does not change once made.
type Profile struct {
	Version      int         `json:"version"`      // 1
	Observations int64       `json:"observations"` // N, transactions
	From         time.Time   `json:"from"`         // event time of the first; zero where it is not known
	To           time.Time   `json:"to"`           // of the last
	Features     []Reference `json:"features"`     // in the model's order, then Probability and Decision
}

// Reference is the distribution of one feature over fixed bins. It has edges or values, not both.
type Reference struct {
	Name string `json:"name"`
	// Edges e₀ < … < eₖ, of a quantity: bins are below (x < e₀), [e₀, e₁), …, above (x ≥ eₖ), missing. At least 10 reference values lie below and above.
	Edges []float64 `json:"edges,omitempty"`
	// Values v₀ < … < vₖ, of a category or of a feature that has few: bins are one each, other, missing.
	Values []float64 `json:"values,omitempty"`
	Labels []string  `json:"labels,omitempty"` // names of Values, where they have any
	Counts []int64   `json:"counts"`           // of each bin, in that order
	// Untested features are counted and shown, but raise no alarm: the hour of the day differs between any window and a whole week.
	Untested bool `json:"untested,omitempty"`
	Null
}

// Null is the law of PSI without drift. With M observations in the window and df = B−1 for B occupied bins, X = PSI / (DesignEffect/M + Variance + WindowVariance ·
// min(1, Horizon/M)) has the mean df and the variance 2·df/SpreadRatio, and is nearly a chi-squared variable of TailRatio·df degrees of freedom, moved and stretched to those.
//
// Of independent transactions DesignEffect is 1, Variance 1/N, WindowVariance 0, and the ratios are 1: X is chi-squared with df degrees of freedom. But transactions of one
// customer resemble each other, and so do those of one hour. DesignEffect is how much that adds to the variance of a window however short it is, Variance what
// the reference's own sample has, WindowVariance what longer windows do not take away until they are Horizon long, such as a day, and the ratios say in how few directions. Sources: Rao and Scott, "On chi-squared tests for multiway contingency
// tables with cell proportions estimated from survey data", 1984; for the three moments Imhof, "Computing the distribution of quadratic forms in normal
// variables", 1961, and Buckley and Eagleson, 1988.
type Null struct {
	DesignEffect float64 `json:"design_effect"`
	Variance     float64 `json:"reference_variance"`
	// WindowVariance and Horizon, in transactions; 0 is no horizon.
	WindowVariance float64 `json:"window_variance"`
	Horizon        float64 `json:"horizon"`
	SpreadRatio    float64 `json:"spread_ratio"`
	TailRatio      float64 `json:"tail_ratio"`
}

// Independent is the law for n independent reference observations.
func Independent(n int64) Null {
	return Null{DesignEffect: 1, Variance: 1 / float64(n), SpreadRatio: 1, TailRatio: 1}
}

// Bins names the bins, in the order of Counts.
func (r *Reference) Bins() []string {
	var names []string
	if r.Edges != nil {
		names = append(names, "below")
		for i := range len(r.Edges) - 1 {
			names = append(names, fmt.Sprintf("b%02d", i))
		}
		return append(names, "above", "missing")
	}
	for i, v := range r.Values {
		if r.Labels != nil {
			names = append(names, r.Labels[i])
		} else {
			names = append(names, strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	return append(names, "other", "missing")
}

// bins is len(Bins()).
func (r *Reference) bins() int {
	if r.Edges != nil {
		return len(r.Edges) + 2
	}
	return len(r.Values) + 2
}

// Ordered tells whether the bins but the last stand in the order of their values.
func (r *Reference) Ordered() bool { return r.Edges != nil }

// Range describes bin i in words: an interval, or a value.
func (r *Reference) Range(i int) string {
	short := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	switch {
	case r.Edges == nil || i > len(r.Edges):
		return r.Bins()[i]
	case i == 0:
		return "< " + short(r.Edges[0])
	case i == len(r.Edges):
		return "≥ " + short(r.Edges[i-1])
	}
	return short(r.Edges[i-1]) + " … " + short(r.Edges[i])
}

// ParseProfile reads profile.json; unknown keys are errors.
func ParseProfile(data []byte) (*Profile, error) {
	p := &Profile{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("read profile: text after the JSON object")
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return p, nil
}

// Encode writes profile.json: the same profile gives the same bytes.
func (p *Profile) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(p, "", " ")
	return append(data, '\n'), err
}

func (p *Profile) check() error {
	if p.Version != 1 {
		return fmt.Errorf("version is %d, this program reads version 1", p.Version)
	}
	if p.Observations < 1 || p.Observations > maxTotal {
		return fmt.Errorf("observations is %d, it must be 1 … 2^61", p.Observations)
	}
	if len(p.Features) == 0 || len(p.Features) > MaxFeatures {
		return fmt.Errorf("%d features, 1 … %d are allowed", len(p.Features), MaxFeatures)
	}
	names, all := map[string]bool{}, 0
	for i := range p.Features {
		r := &p.Features[i]
		if err := r.check(p.Observations); err != nil {
			return fmt.Errorf("feature %q: %w", r.Name, err)
		}
		if names[r.Name] {
			return fmt.Errorf("feature %q is there twice", r.Name)
		}
		names[r.Name] = true
		if all += r.bins(); all > MaxAllBins {
			return fmt.Errorf("more than %d bins in all", MaxAllBins)
		}
	}
	return nil
}

func (r *Reference) check(observations int64) error {
	cuts := r.Edges
	if r.Edges == nil {
		cuts = r.Values
	}
	switch {
	case r.Name == "" || len(r.Name) > maxNameLen:
		return fmt.Errorf("its name must have 1 to %d bytes", maxNameLen)
	case r.Edges != nil && r.Values != nil:
		return errors.New("it has edges and values, one of them is needed")
	case r.Edges != nil && len(r.Edges) == 0:
		return errors.New("edges is empty")
	case r.bins() > MaxBins:
		return fmt.Errorf("it has %d bins, at most %d are allowed", r.bins(), MaxBins)
	case r.Labels != nil && len(r.Labels) != len(r.Values):
		return fmt.Errorf("it has %d labels for %d values", len(r.Labels), len(r.Values))
	case len(r.Counts) != r.bins():
		return fmt.Errorf("it has %d counts for %d bins", len(r.Counts), r.bins())
	}
	for i, c := range cuts {
		if math.IsInf(c, 0) || math.IsNaN(c) || i > 0 && cuts[i-1] >= c {
			return errors.New("edges and values must be finite and ascend")
		}
	}
	seen := map[string]bool{}
	for _, name := range r.Bins() {
		if name == "" || len(name) > maxNameLen || seen[name] {
			return fmt.Errorf("the bin %q has no name of its own of 1 to %d bytes", name, maxNameLen)
		}
		seen[name] = true
	}
	left := observations
	for _, c := range r.Counts {
		if c < 0 || c > left {
			return errors.New("its counts are negative, or more than the observations")
		}
		left -= c
	}
	n := r.Null
	switch {
	case left != 0:
		return fmt.Errorf("its counts are %d less than the observations", left)
	case !(n.DesignEffect >= 1 && n.DesignEffect < 1e12), !(n.Variance > 0 && n.Variance < 1e12), !(n.WindowVariance >= 0 && n.WindowVariance < 1e12), !(n.Horizon >= 0 && n.Horizon < 1e18), !(n.TailRatio > 0 && n.TailRatio <= n.SpreadRatio && n.SpreadRatio <= 1):
		return errors.New("design_effect must be 1 or more, reference_variance above 0, window_variance and horizon 0 or more, and 0 < tail_ratio ≤ spread_ratio ≤ 1")
	}
	return nil
}

// Merge is the profile of both samples, which must have the same bins. Of the laws, the more careful stays.
func (p *Profile) Merge(q *Profile) (*Profile, error) {
	if len(p.Features) != len(q.Features) || p.Observations > maxTotal-q.Observations {
		return nil, errors.New("merge profiles: they have not the same features")
	}
	m := &Profile{Version: 1, Observations: p.Observations + q.Observations, From: p.From, To: p.To, Features: slices.Clone(p.Features)}
	if q.From.Before(m.From) {
		m.From = q.From
	}
	if q.To.After(m.To) {
		m.To = q.To
	}
	for i := range m.Features {
		r, other := &m.Features[i], &q.Features[i]
		if r.Name != other.Name || !slices.Equal(r.Edges, other.Edges) || !slices.Equal(r.Values, other.Values) || !slices.Equal(r.Labels, other.Labels) {
			return nil, fmt.Errorf("merge profiles: feature %q has other bins in the second", r.Name)
		}
		r.Counts = slices.Clone(r.Counts)
		for j, c := range other.Counts {
			r.Counts[j] += c
		}
		r.Untested = r.Untested || other.Untested
		horizon := max(r.Horizon, other.Horizon)
		if r.Horizon == 0 || other.Horizon == 0 {
			horizon = 0
		}
		r.Null = Null{max(r.DesignEffect, other.DesignEffect), max(r.Variance, other.Variance), max(r.WindowVariance, other.WindowVariance), horizon,
			min(r.SpreadRatio, other.SpreadRatio), min(r.TailRatio, other.TailRatio)}
	}
	return m, nil
}
