package metrics

import "math"

// Curve has the cumulated counts of points by falling probability: at each, how many frauds and honest transactions have that probability or a higher one.
type Curve struct {
	P      []float64
	Fraud  []int64
	Honest []int64
}

// NewCurve cumulates ranked points.
func NewCurve(points []Point) Curve {
	c := Curve{P: make([]float64, len(points)), Fraud: make([]int64, len(points)), Honest: make([]int64, len(points))}
	var fraud, honest int64
	for i, p := range points {
		fraud += p.Fraud
		honest += p.Honest
		c.P[i], c.Fraud[i], c.Honest[i] = p.P, fraud, honest
	}
	return c
}

// Totals of frauds and honest transactions.
func (c Curve) Totals() (fraud, honest int64) {
	if len(c.P) == 0 {
		return 0, 0
	}
	return c.Fraud[len(c.P)-1], c.Honest[len(c.P)-1]
}

// AUC is the area under the ROC curve, by trapezoids; NaN where one of the classes has none. Source: Fawcett, An introduction to ROC analysis, 2006.
func (c Curve) AUC() float64 {
	frauds, honests := c.Totals()
	if frauds == 0 || honests == 0 {
		return math.NaN()
	}
	area := 0.0 // of pairs, counted twice
	var tp, fp int64
	for i := range c.P {
		area += float64(c.Honest[i]-fp) * float64(c.Fraud[i]+tp)
		tp, fp = c.Fraud[i], c.Honest[i]
	}
	return area / 2 / (float64(frauds) * float64(honests))
}

// AveragePrecision is the sum of precisions, each weighted by the recall that it adds, as scikit-learn's average_precision_score; NaN without frauds.
func (c Curve) AveragePrecision() float64 {
	frauds, _ := c.Totals()
	if frauds == 0 {
		return math.NaN()
	}
	sum := 0.0
	var tp int64
	for i := range c.P {
		if gained := c.Fraud[i] - tp; gained > 0 {
			sum += float64(gained) * float64(c.Fraud[i]) / float64(c.Fraud[i]+c.Honest[i])
			tp = c.Fraud[i]
		}
	}
	return sum / float64(frauds)
}

// At is what is flagged with a threshold.
type At struct {
	Threshold float64 `json:"threshold"`
	Flagged   int64   `json:"flagged"`
	Frauds    int64   `json:"frauds"` // among the flagged
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	FPR       float64 `json:"false_positive_rate"`
}

// At flags all whose probability is threshold or higher. Figures of nothing are 0.
func (c Curve) At(threshold float64) At {
	n := 0
	for low, high := 0, len(c.P); low < high; {
		if mid := (low + high) / 2; c.P[mid] >= threshold {
			low = mid + 1
			n = low
		} else {
			high = mid
		}
	}
	a := At{Threshold: threshold}
	if n == 0 {
		return a
	}
	frauds, honests := c.Totals()
	tp, fp := c.Fraud[n-1], c.Honest[n-1]
	a.Flagged, a.Frauds = tp+fp, tp
	a.Precision = ratio(tp, tp+fp)
	a.Recall = ratio(tp, frauds)
	a.FPR = ratio(fp, honests)
	if tp > 0 {
		a.F1 = 2 * float64(tp) / float64(tp+fp+frauds)
	}
	return a
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Brier is the mean squared difference of probability and label; NaN of none.
func Brier(points []Point) float64 {
	sum, n := 0.0, int64(0)
	for _, p := range points {
		sum += float64(p.Fraud)*(1-p.P)*(1-p.P) + float64(p.Honest)*p.P*p.P
		n += p.Fraud + p.Honest
	}
	return sum / float64(n)
}

// Reliability is one bin of the reliability curve.
type Reliability struct {
	Mean  float64 `json:"mean_probability"`
	Share float64 `json:"share_of_fraud"`
	Count int64   `json:"count"`
}

// Calibration puts transactions into bins between the quantiles of their probabilities, as scikit-learn's calibration_curve with strategy="quantile", and gives the bins that have any, and the
// expected calibration error: the mean gap of probability and share, weighted by counts (Naeini, Cooper and Hauskrecht 2015).
func Calibration(points []Point, bins int) (curve []Reliability, ece float64) {
	total := int64(0)
	for _, p := range points {
		total += p.Fraud + p.Honest
	}
	if total == 0 {
		return nil, math.NaN()
	}
	edges := make([]float64, 0, bins-1)
	for i := 1; i < bins; i++ {
		edges = append(edges, quantile(points, total, float64(i)/float64(bins)))
	}
	all := make([]struct {
		sum   float64
		fraud int64
		n     int64
	}, bins)
	for _, p := range points {
		bin := 0
		for bin < len(edges) && edges[bin] < p.P { // numpy's searchsorted, side="left"
			bin++
		}
		n := p.Fraud + p.Honest
		all[bin].sum += float64(n) * p.P
		all[bin].fraud += p.Fraud
		all[bin].n += n
	}
	for _, b := range all {
		if b.n == 0 {
			continue
		}
		r := Reliability{b.sum / float64(b.n), float64(b.fraud) / float64(b.n), b.n}
		curve = append(curve, r)
		ece += float64(b.n) / float64(total) * math.Abs(r.Mean-r.Share)
	}
	return curve, ece
}

// quantile is numpy's, linear between two values; points are by falling probability.
func quantile(points []Point, total int64, q float64) float64 {
	at := q * float64(total-1)
	low := int64(math.Floor(at))
	a, b := rising(points, total, low), rising(points, total, min(low+1, total-1))
	t := at - float64(low)
	// numpy's _lerp
	if t >= 0.5 {
		return b - (b-a)*(1-t)
	}
	return a + (b-a)*t
}

// rising gives the value at a place, from 0, in rising order.
func rising(points []Point, total, place int64) float64 {
	left := total - 1 - place // places before it in falling order
	for _, p := range points {
		if left -= p.Fraud + p.Honest; left < 0 {
			return p.P
		}
	}
	return points[len(points)-1].P
}

// Thin gives at most so many places of a curve, first and last among them, evenly apart along ROC: enough for a drawing.
func (c Curve) Thin(most int) []int {
	if len(c.P) <= most {
		all := make([]int, len(c.P))
		for i := range all {
			all[i] = i
		}
		return all
	}
	frauds, honests := c.Totals()
	var kept []int
	step := 2 / float64(most)
	last := math.Inf(-1)
	for i := range c.P {
		at := ratio(c.Fraud[i], frauds) + ratio(c.Honest[i], honests)
		if at-last >= step || i == len(c.P)-1 {
			kept = append(kept, i)
			last = at
		}
	}
	return kept
}
