package scorer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// ScoreNotFinite is the class of an event that decodes, but that the model gives no finite score.
const ScoreNotFinite schemas.Class = "score_not_finite"

// Outcome is what became of one event: a verdict without its source, or the reason why there is none. The verdict's transaction id and
// findings stand in the scorer's memory: who keeps them beyond the next Reset copies them.
type Outcome struct {
	Verdict schemas.Verdict
	Broken  []int // quality rules that the event breaks and is scored all the same, as indices of Contract.Rules; in the scorer's memory too
	Err     *schemas.Error
}

// Scorer scores batches of events under one bundle. It reuses its memory, so that a batch no larger than those before allocates nothing but
// the reasons of refused events. It is not for concurrent use.
type Scorer struct {
	bundle   *Bundle
	memory   *drift.Memory // nil where no rule looks at many records, or nobody asked for those
	decoder  *schemas.Decoder
	tx       schemas.Transaction
	width    int // features
	scored   int // rows filled
	rows     []float64
	margins  []float64
	chances  []float64 // probabilities
	ids      []byte    // what the verdicts' transaction ids point to
	broken   []int     // what the outcomes' broken rules point to
	findings []string  // what the verdicts' findings point to
	outcomes []Outcome
	// Of the scored rows, for those who count them.
	decisions  []float64
	times      []int64 // of the events, Unix milliseconds
	timestamps []int64 // of their records
}

// NewScorer makes a scorer of the bundle.
func (b *Bundle) NewScorer() *Scorer {
	return &Scorer{bundle: b, decoder: b.Contract.NewDecoder(), width: b.Model.Features()}
}

// Remember holds events to the contract's rules that look at many records too.
func (s *Scorer) Remember(m *drift.Memory) { s.memory = m }

// Reset empties the batch.
func (s *Scorer) Reset() {
	s.scored = 0
	s.rows = s.rows[:0]
	s.ids = s.ids[:0]
	s.findings = s.findings[:0]
	s.broken = s.broken[:0]
	s.outcomes = s.outcomes[:0]
	s.times, s.timestamps = s.times[:0], s.timestamps[:0]
}

// Add decodes an event into the batch. timestamp is its record's, zero where it has none. The event is not kept.
func (s *Scorer) Add(event []byte, timestamp time.Time) {
	start := s.scored * s.width
	s.rows = slices.Grow(s.rows[:start], s.width)[:start+s.width]
	s.tx.Timestamp = timestamp
	if err := s.decoder.Decode(event, s.rows[start:], &s.tx); err != nil {
		var reason *schemas.Error
		if !errors.As(err, &reason) {
			reason = &schemas.Error{Class: schemas.MalformedJSON, Detail: err.Error()}
		}
		s.outcomes = append(s.outcomes, Outcome{Err: reason})
		return
	}
	s.scored++
	s.times = append(s.times, s.tx.Time.UnixMilli())
	stamp := int64(0)
	if !timestamp.IsZero() {
		stamp = timestamp.UnixMilli()
	}
	s.timestamps = append(s.timestamps, stamp)
	id, finding, broken := len(s.ids), len(s.findings), len(s.broken)
	s.broken = append(s.broken, s.tx.Broken...)
	if s.memory != nil {
		s.broken = s.memory.Check(&s.tx, s.rows[start:], s.broken)
	}
	s.ids = append(s.ids, s.tx.ID...) // verdicts before it may point to the memory that this one leaves: nobody writes there
	s.findings = append(s.findings, s.tx.Findings...)
	s.outcomes = append(s.outcomes, Outcome{Verdict: schemas.Verdict{
		TransactionID: s.ids[id:len(s.ids):len(s.ids)], Bundle: s.bundle.ID, Findings: s.findings[finding:len(s.findings):len(s.findings)],
		EventTime: s.tx.Time,
	}, Broken: s.broken[broken:len(s.broken):len(s.broken)]})
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
	s.decisions = slices.Grow(s.decisions[:0], s.scored)
	row := 0
	for i := range s.outcomes {
		o := &s.outcomes[i]
		if o.Err != nil {
			continue
		}
		margin, p := s.margins[row], s.chances[row]
		if math.IsNaN(margin) || math.IsInf(margin, 0) || !(0 <= p && p <= 1) {
			*o = Outcome{Err: &schemas.Error{Class: ScoreNotFinite, Rule: -1, Detail: fmt.Sprintf("margin %v, probability %v", margin, p)}}
			s.drop(row)
			continue
		}
		row++
		o.Verdict.Margin, o.Verdict.Probability, o.Verdict.Decision = margin, p, s.bundle.Policy.Decide(p)
		s.decisions = append(s.decisions, DecisionCode(o.Verdict.Decision))
	}
	return s.outcomes, nil
}

// drop takes a row out that has no verdict.
func (s *Scorer) drop(row int) {
	s.scored--
	s.rows = slices.Delete(s.rows, row*s.width, (row+1)*s.width)
	s.margins = slices.Delete(s.margins, row, row+1)
	s.chances = slices.Delete(s.chances, row, row+1)
	s.times = slices.Delete(s.times, row, row+1)
	s.timestamps = slices.Delete(s.timestamps, row, row+1)
}

// DecisionCode is the value that profiles know a decision by.
func DecisionCode(d schemas.Decision) float64 {
	switch d {
	case schemas.Approve:
		return 0
	case schemas.Review:
		return 1
	}
	return 2
}

// Key is the key of the event that was added last, such as its customer; valid until the next Add.
func (s *Scorer) Key() []byte { return s.tx.Key }

// Amount is that of the event that was added last.
func (s *Scorer) Amount() float64 { return s.tx.Amount }

// Row is the model's row of the event that was added last, where it was not refused; valid until the next Add.
func (s *Scorer) Row() []float64 { return s.rows[max(0, len(s.rows)-s.width):] }

// Scored is what was scored of the batch, without the events that have no verdict: valid after Score, until the next Reset.
func (s *Scorer) Scored() drift.Scored {
	return drift.Scored{Rows: s.rows, Width: s.width, Probabilities: s.chances, Decisions: s.decisions, Times: s.times, Timestamps: s.timestamps}
}
