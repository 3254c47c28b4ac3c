package metrics

import "math"

// Figures are what is said of one side, with intervals.
type Figures struct {
	Frauds           int64         `json:"frauds"`
	Honest           int64         `json:"honest"`
	AUC              Interval      `json:"roc_auc"`
	AveragePrecision Interval      `json:"average_precision"`
	Brier            Interval      `json:"brier"`
	ECE              float64       `json:"ece"`
	Reliability      []Reliability `json:"reliability"`
	Caught           Interval      `json:"frauds_not_approved"`   // share of the frauds
	Declined         Interval      `json:"frauds_declined"`       // share of the frauds
	Harmed           Interval      `json:"honest_declined"`       // share of the honest
	Precision        Interval      `json:"precision_of_declined"` // share of fraud among the declined
	Cost             Interval      `json:"cost"`                  // in the currency of the amounts
}

// calibrationBins of the reliability curve.
const calibrationBins = 10

// drawn are a figure's values: of the transactions themselves, as exact as it gets and as bins have it, and of each resample.
type drawn struct {
	value, center float64
	resamples     []float64
}

func (d drawn) interval() Interval { return around(d.value, d.center, d.resamples) }

func minus(a, b drawn) Interval {
	diff := make([]float64, len(a.resamples))
	for i := range diff {
		diff[i] = a.resamples[i] - b.resamples[i]
	}
	return around(a.value-b.value, a.center-b.center, diff)
}

// Sample is what is counted of one side.
type Sample struct {
	Scores  *Scores
	Boot    *Boot
	Decided [3][2]int64 // by decision: honest, fraud
	Cost    Money
}

// curves gives a figure of curves.
func (s *Sample) curves(figure func(points []Point) float64) drawn {
	points := s.Scores.Ranked()
	d := drawn{value: figure(points), center: figure(Binned(points))}
	for i := range Resamples {
		d.resamples = append(d.resamples, figure(s.Boot.points(i)))
	}
	return d
}

// decided gives a figure of the decisions.
func (s *Sample) decided(figure func(counts [3][2]float64) float64) drawn {
	var now [3][2]float64
	for d := range s.Decided {
		for class := range s.Decided[d] {
			now[d][class] = float64(s.Decided[d][class])
		}
	}
	found := drawn{value: figure(now), center: figure(now)}
	for i := range Resamples {
		for d := range s.Decided {
			for class := range s.Decided[d] {
				now[d][class] = float64(s.Boot.Decided[d][class][i])
			}
		}
		found.resamples = append(found.resamples, figure(now))
	}
	return found
}

func (s *Sample) cost() drawn {
	d := drawn{value: s.Cost.Float(), center: s.Cost.Float()}
	for _, c := range s.Boot.Cost {
		d.resamples = append(d.resamples, c.Float())
	}
	return d
}

func auc(points []Point) float64 { return NewCurve(points).AUC() }

func averagePrecision(points []Point) float64 { return NewCurve(points).AveragePrecision() }

func caught(n [3][2]float64) float64   { return part(n[1][1]+n[2][1], n[0][1]+n[1][1]+n[2][1]) }
func declined(n [3][2]float64) float64 { return part(n[2][1], n[0][1]+n[1][1]+n[2][1]) }
func harmed(n [3][2]float64) float64   { return part(n[2][0], n[0][0]+n[1][0]+n[2][0]) }
func precise(n [3][2]float64) float64  { return part(n[2][1], n[2][0]+n[2][1]) }

func part(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

// Figure says what is known of a side.
func (s *Sample) Figure() *Figures {
	s.Boot.Settle()
	f := &Figures{AUC: s.curves(auc).interval(), AveragePrecision: s.curves(averagePrecision).interval(), Brier: s.curves(Brier).interval(),
		Caught: s.decided(caught).interval(), Declined: s.decided(declined).interval(), Harmed: s.decided(harmed).interval(), Precision: s.decided(precise).interval(), Cost: s.cost().interval()}
	points := s.Scores.Ranked()
	f.Frauds, f.Honest = NewCurve(points).Totals()
	f.Reliability, f.ECE = Calibration(points, calibrationBins)
	return f
}

// Difference is by how much one side's figures exceed the other's, on the same draws of customers.
type Difference struct {
	AUC              Interval `json:"roc_auc"`
	AveragePrecision Interval `json:"average_precision"`
	Brier            Interval `json:"brier"`
	Caught           Interval `json:"frauds_not_approved"`
	Harmed           Interval `json:"honest_declined"`
	Cost             Interval `json:"cost"`
}

// Minus compares two sides of the same transactions.
func (s *Sample) Minus(o *Sample) *Difference {
	s.Boot.Settle()
	o.Boot.Settle()
	return &Difference{AUC: minus(s.curves(auc), o.curves(auc)), AveragePrecision: minus(s.curves(averagePrecision), o.curves(averagePrecision)), Brier: minus(s.curves(Brier), o.curves(Brier)),
		Caught: minus(s.decided(caught), o.decided(caught)), Harmed: minus(s.decided(harmed), o.decided(harmed)), Cost: minus(s.cost(), o.cost())}
}

// OverDays is the mean of a figure that each day has, with an interval by drawing days anew.
func OverDays(days []float64) Interval {
	if len(days) == 0 {
		return Interval{math.NaN(), math.NaN(), math.NaN()}
	}
	mean := func(pick func(i int) float64) float64 {
		sum := 0.0
		for i := range days {
			sum += pick(i)
		}
		return sum / float64(len(days))
	}
	value := mean(func(i int) float64 { return days[i] })
	var all []float64
	state := uint64(1)
	for range Resamples {
		all = append(all, mean(func(int) float64 {
			state += golden
			return days[mix(state)%uint64(len(days))]
		}))
	}
	return around(value, value, all)
}
