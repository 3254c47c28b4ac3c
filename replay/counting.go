package replay

import (
	"fmt"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/scorer"
)

func (w *worker) count(in *waiting, o *scorer.Outcome) error {
	c := w.counts
	c.Records++
	a := Answer{Input: &in.in, Base: in.given, Amount: in.amount}
	if o.Err != nil {
		c.Refused[o.Err.Class]++
		c.quality.AddRefused(o.Err.Rule)
		a.Refusal = o.Err
		return w.tell(&a)
	}
	c.quality.AddScored(o.Broken)
	v := &o.Verdict
	c.Scored++
	c.span(v.EventTime)
	a.Verdict, a.EventTime = v, v.EventTime
	would := drift.Place(v.Decision)
	now, err := w.at(v.EventTime)
	if err != nil {
		return fmt.Errorf("%s partition %d offset %d: its event time %w", c.Settings.Source, in.in.Partition, in.in.Offset, err)
	}
	day := now.day
	day.Count++
	day.Decided[1][would]++
	was := -1
	if in.given != nil {
		was = drift.Place(in.given.Decision)
		day.Decided[0][was]++
		c.Pairs.Add(was, would, in.given.Probability, v.Probability)
		c.Amounts[was][would] += metrics.MoneyOf(in.amount)
		c.Scatter[scatterBin(in.given.Probability)][scatterBin(v.Probability)]++
	} else if c.Against != "" {
		c.Unpaired++
	}
	w.label(in, &a, was, would)
	if was >= 0 && was != would && (was == 2 || would == 2 || would == 0) {
		w.flip(in, &a, was, would)
	}
	for i, s := range w.segments {
		w.segment(s.name, in.values[i], &a, was, would)
	}
	return w.tell(&a)
}

func (w *worker) tell(a *Answer) error {
	if w.o.Each == nil {
		return nil
	}
	return w.o.Each(a)
}

// label counts a transaction whose label is known on both sides.
func (w *worker) label(in *waiting, a *Answer, was, would int) {
	o, c := w.o, w.counts
	if o.Labels == nil {
		return
	}
	is := o.Labels.of(a.Verdict.TransactionID)
	switch {
	case a.EventTime.After(o.AsOf.Add(-o.Maturity)):
		c.Labels.Immature++
		return
	case is == 0 && o.Unlabelled == "honest":
		c.Labels.Unlabelled++
		is = honest
	case is == 0 || is == contradictory:
		c.Labels.Unlabelled++
		return
	default:
		c.Labels.Labelled++
	}
	a.Labelled, a.Fraud = true, is == fraud
	var costs [3]metrics.Money
	if o.Costs != nil {
		costs = o.Costs.Of(in.amount, a.Fraud)
	}
	w.weights.Draw(in.customer)
	place := xxhash.Sum64(strconv.AppendInt(strconv.AppendInt(nil, int64(in.in.Partition), 10), -in.in.Offset-1, 10))
	if was >= 0 {
		c.Sides[0].count(w, 0, in, a.Fraud, was, a.Base.Probability, costs, place)
	}
	if was >= 0 || c.Against == "" { // both sides have the same transactions
		c.Sides[1].count(w, 1, in, a.Fraud, would, a.Verdict.Probability, costs, place)
	}
}

func (s *Side) count(w *worker, which int, in *waiting, isFraud bool, decision int, p float64, costs [3]metrics.Money, place uint64) {
	class := 0
	if isFraud {
		class = 1
	}
	s.Scores.Add(p, isFraud)
	s.Boot.Add(&w.weights, p, isFraud, decision, costs[decision])
	if s.Grid != nil {
		s.Grid.Add(p, isFraud, costs)
	}
	s.Decided[decision][class]++
	s.Amount[decision][class] += metrics.MoneyOf(in.amount)
	s.Cost += costs[decision]
	d := w.today.sides[which]
	if d == nil {
		d = s.day(w.today.date, w.o.K)
		w.today.sides[which] = d
	}
	switch {
	case isFraud:
		d.Frauds++
		if decision > 0 {
			d.Caught++
		}
	default:
		d.Honest++
		if decision == 2 {
			d.Harmed++
		}
	}
	d.Top.Add(metrics.Ranked{P: p, Fraud: isFraud, Key: place})
	d.Customers.Add(in.customer, p, isFraud)
}

func (w *worker) flip(in *waiting, a *Answer, was, would int) {
	which := 0 // newly declined
	switch {
	case would == 2:
	case would == 0 || was == 2:
		which = 1 // newly approved, or no longer declined
	default:
		return
	}
	says := "unknown"
	if a.Labelled {
		says = map[bool]string{true: "fraud", false: "honest"}[a.Fraud]
	}
	w.counts.Flips[which].add(Flip{ID: string(a.Verdict.TransactionID), Amount: in.amount, Was: string(drift.Decisions[was]), Would: string(drift.Decisions[would]),
		P: a.Base.Probability, Q: a.Verdict.Probability, Fraud: says, Partition: in.in.Partition, Offset: in.in.Offset})
}

func (w *worker) segment(feature, value string, a *Answer, was, would int) {
	s := w.counts.segment(feature, value)
	s.Count++
	if was >= 0 {
		s.Decided[was][would]++
	}
	if !a.Labelled {
		return
	}
	class := 0
	if a.Fraud {
		class = 1
	}
	s.Known[class]++
	for side, d := range [2]int{was, would} {
		switch {
		case a.Fraud && d > 0:
			s.Caught[side]++
		case !a.Fraud && d == 2:
			s.Harmed[side]++
		}
	}
}

// scatterBin puts a probability into one of 32 bins of its log odds.
func scatterBin(p float64) int {
	const reach = 9.0 // e^-9 is a hundredth of a percent
	odds := math.Log(p / (1 - p))
	return int(min(max((odds+reach)/(2*reach)*scatterBins, 0), scatterBins-1))
}
