package drift

import (
	"fmt"
	"math"
)

// DefaultAlpha is the probability that a window without drift raises an alarm, any of its features.
const DefaultAlpha = 0.01

// How large a PSI must be to matter. Smaller ones are never alarms, however sure.
const (
	SmallPSI  = 0.02 // worth knowing
	WarnPSI   = 0.1  // the customary "some shift"
	SeverePSI = 0.25 // the customary "large shift"
)

// Least sizes of an alarm's samples.
const (
	MinWindow    = 1000 // transactions, and 20 an occupied bin
	MinPerBin    = 20
	MinReference = 10_000
)

// Level is what a comparison says of a feature.
type Level string

// The levels.
const (
	Stable   Level = "stable"          // no more than chance, or too small to matter
	Small    Level = "small"           // significant, PSI above SmallPSI
	Warn     Level = "drift"           // significant, above WarnPSI
	Severe   Level = "severe"          // significant, above SeverePSI
	TooFew   Level = "not enough data" // the window or the reference is too small to tell
	Untested Level = "not tested"      // the profile says so
)

// Result compares one feature of a window with its reference. Numbers that are undefined are NaN.
type Result struct {
	Feature   string
	Reference *Reference
	Current   []int64
	Level     Level
	Why       string // of TooFew
	// Observations of the window, and what they are worth: fewer independent ones. Likewise of the reference.
	Observations, Effective, ReferenceEffective float64
	Occupied                                    int     // bins with a count on either side
	PSI, Critical                               float64 // Critical: what chance exceeds in any of the tested features with probability alpha
	P, Bonferroni, BenjaminiHochberg            float64 // of PSI; the last two corrected for the tested features
	ChiSquared, ChiSquaredP                     float64 // P with the design effect
	JensenShannon, Hellinger                    float64
	TotalVariation, LInfinity                   float64
	KolmogorovSmirnov, Wasserstein              float64 // of quantities, without missing values
}

// Comparison is of all features of one window.
type Comparison struct {
	Alpha        float64
	Tested       int
	Transactions int64
	Results      []Result // in the profile's order
}

// Compare holds a window against the profile. Without drift any feature is above its critical value with probability alpha at most.
func (p *Profile) Compare(c *Counts, alpha float64) *Comparison {
	all := &Comparison{Alpha: alpha, Transactions: c.Transactions, Results: make([]Result, len(p.Features))}
	pvalues := make([]float64, len(p.Features))
	for i := range p.Features {
		if !p.Features[i].Untested {
			all.Tested++
		}
	}
	for i := range p.Features {
		r := &all.Results[i]
		*r = p.Features[i].compare(c.Of(i), alpha/float64(max(1, all.Tested)))
		pvalues[i] = r.P
		if r.Reference.Untested || r.Level == TooFew {
			pvalues[i] = math.NaN()
		}
	}
	bonferroni, bh := Bonferroni(pvalues), BenjaminiHochberg(pvalues)
	for i := range all.Results {
		all.Results[i].Bonferroni, all.Results[i].BenjaminiHochberg = bonferroni[i], bh[i]
	}
	return all
}

// compare tests at level alpha.
func (r *Reference) compare(current []int64, alpha float64) Result {
	none := math.NaN()
	res := Result{Feature: r.Name, Reference: r, Current: current, Level: TooFew, Critical: none, PSI: none, P: none, Bonferroni: none, BenjaminiHochberg: none,
		ChiSquared: none, ChiSquaredP: none, JensenShannon: none, Hellinger: none, TotalVariation: none, LInfinity: none, KolmogorovSmirnov: none, Wasserstein: none}
	pair, err := newPair(r.Counts, current)
	res.Observations, res.Occupied = float64(pair.m), pair.occupied
	if err != nil {
		res.Why = "no transactions"
		return res
	}
	null := r.Null
	scale, df := null.scale(pair.m), float64(pair.occupied-1)
	res.Effective, res.ReferenceEffective = 1/(scale-null.Variance), 1/null.Variance
	res.PSI, _, _ = PSI(r.Counts, current) // the pair has no error
	res.P = null.tail(res.PSI/scale, df)
	res.Critical = scale * null.critical(alpha, df)
	res.ChiSquared, _, _ = ChiSquared(r.Counts, current)
	res.ChiSquaredP = null.tail(res.ChiSquared*pair.nullScale()/scale, df)
	res.JensenShannon, _ = JensenShannon(r.Counts, current)
	res.Hellinger, _ = Hellinger(r.Counts, current)
	res.TotalVariation, _ = TotalVariation(r.Counts, current)
	res.LInfinity, _ = LInfinity(r.Counts, current)
	if r.Ordered() {
		last := len(current) - 1 // missing
		if ks, err := KolmogorovSmirnov(r.Counts[:last], current[:last]); err == nil {
			res.KolmogorovSmirnov = ks
			res.Wasserstein, _ = Wasserstein(r.Counts[:last], current[:last])
		}
	}
	res.Level, res.Why = r.level(&pair, res.PSI, res.Critical)
	return res
}

// scale is what PSI is in the mean without drift, for each degree of freedom, in a window of m.
func (n Null) scale(m uint64) float64 {
	window := n.WindowVariance
	if n.Horizon > 0 {
		window *= min(1, n.Horizon/float64(m))
	}
	return n.DesignEffect/float64(m) + n.Variance + window
}

// tail is P(X ≥ x) with df degrees of freedom; NaN without any.
func (n Null) tail(x, df float64) float64 {
	own := n.TailRatio * df
	return chiSquaredTail(max(0, own+(x-df)*math.Sqrt(n.SpreadRatio*n.TailRatio)), own)
}

// critical is the x with P(X ≥ x) = alpha.
func (n Null) critical(alpha, df float64) float64 {
	own := n.TailRatio * df
	return df + (chiSquaredCritical(alpha, own)-own)/math.Sqrt(n.SpreadRatio*n.TailRatio)
}

func (r *Reference) level(p *pair, psi, critical float64) (Level, string) {
	least := uint64(max(MinWindow, MinPerBin*p.occupied))
	switch {
	case p.n < MinReference:
		return TooFew, fmt.Sprintf("the reference has %d observations, %d are needed", p.n, MinReference)
	case p.m < least:
		return TooFew, fmt.Sprintf("%d transactions, %d are needed", p.m, least)
	case r.Untested:
		return Untested, ""
	case !(psi > critical): // NaN: one bin, and nothing else ever seen
		return Stable, ""
	case psi > SeverePSI:
		return Severe, ""
	case psi > WarnPSI:
		return Warn, ""
	case psi > SmallPSI:
		return Small, ""
	}
	return Stable, ""
}
