package scorer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// ScoreNotFinite is the class of an event that decodes, but that the model gives no finite score.
const ScoreNotFinite schemas.Class = "score_not_finite"

// Outcome is what became of one event: a verdict without its source, or the reason why there is none. The verdict's transaction id and
// findings stand in the scorer's memory: who keeps them beyond the next Reset copies them.
type Outcome struct {
	Verdict schemas.Verdict
	Err     *schemas.Error
}

// Scorer scores batches of events under one bundle. It reuses its memory, so that a batch no larger than those before allocates nothing but
// the reasons of refused events. It is not for concurrent use.
type Scorer struct {
	bundle   *Bundle
	decoder  *schemas.Decoder
	tx       schemas.Transaction
	width    int // features
	scored   int // rows filled
	rows     []float64
	margins  []float64
	chances  []float64 // probabilities
	ids      []byte    // what the verdicts' transaction ids point to
	findings []string  // what the verdicts' findings point to
	outcomes []Outcome
}

// NewScorer makes a scorer of the bundle.
func (b *Bundle) NewScorer() *Scorer {
	return &Scorer{bundle: b, decoder: b.Contract.NewDecoder(), width: b.Model.Features()}
}

// Reset empties the batch.
func (s *Scorer) Reset() {
	s.scored = 0
	s.rows = s.rows[:0]
	s.ids = s.ids[:0]
	s.findings = s.findings[:0]
	s.outcomes = s.outcomes[:0]
}

// Add decodes an event into the batch. The event is not kept.
func (s *Scorer) Add(event []byte) {
	start := s.scored * s.width
	s.rows = slices.Grow(s.rows[:start], s.width)[:start+s.width]
	if err := s.decoder.Decode(event, s.rows[start:], &s.tx); err != nil {
		var reason *schemas.Error
		if !errors.As(err, &reason) {
			reason = &schemas.Error{Class: schemas.MalformedJSON, Detail: err.Error()}
		}
		s.outcomes = append(s.outcomes, Outcome{Err: reason})
		return
	}
	s.scored++
	id, finding := len(s.ids), len(s.findings)
	s.ids = append(s.ids, s.tx.ID...) // verdicts before it may point to the memory that this one leaves: nobody writes there
	s.findings = append(s.findings, s.tx.Findings...)
	s.outcomes = append(s.outcomes, Outcome{Verdict: schemas.Verdict{
		TransactionID: s.ids[id:len(s.ids):len(s.ids)], Bundle: s.bundle.ID, Findings: s.findings[finding:len(s.findings):len(s.findings)],
		EventTime: s.tx.Time,
	}})
}

// Score scores the batch: one outcome for each event added since Reset, in order, valid until the next Reset. An error means that the
// engine failed, not an event: nothing may be published.
func (s *Scorer) Score() ([]Outcome, error) {
	s.rows = s.rows[:s.scored*s.width]
	s.margins = slices.Grow(s.margins[:0], s.scored)[:s.scored]
	s.chances = slices.Grow(s.chances[:0], s.scored)[:s.scored]
	if err := s.bundle.Model.Margins(s.rows, s.margins); err != nil {
		return nil, fmt.Errorf("score %d events: %w", s.scored, err)
	}
	if err := s.bundle.Model.Transform(s.margins, s.chances); err != nil {
		return nil, fmt.Errorf("transform %d scores: %w", s.scored, err)
	}
	row := 0
	for i := range s.outcomes {
		o := &s.outcomes[i]
		if o.Err != nil {
			continue
		}
		margin, p := s.margins[row], s.chances[row]
		row++
		if math.IsNaN(margin) || math.IsInf(margin, 0) || !(0 <= p && p <= 1) {
			*o = Outcome{Err: &schemas.Error{Class: ScoreNotFinite, Detail: fmt.Sprintf("margin %v, probability %v", margin, p)}}
			continue
		}
		o.Verdict.Margin, o.Verdict.Probability, o.Verdict.Decision = margin, p, s.bundle.Policy.Decide(p)
	}
	return s.outcomes, nil
}
