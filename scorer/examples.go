package scorer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
)

const maxExamples = 10_000

// Example is an event recorded at training with what the training library itself said of it.
type Example struct {
	Event       json.RawMessage  `json:"event"`
	Margin      float64          `json:"margin"`
	Probability float64          `json:"probability"`
	Decision    schemas.Decision `json:"decision"`
}

func parseExamples(data []byte) ([]Example, error) {
	var all []Example
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxOtherFile)
	for lines.Scan() {
		if len(all) == maxExamples {
			return nil, fmt.Errorf("more than %d examples", maxExamples)
		}
		var e Example
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+1, err)
		}
		all = append(all, e)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no example: a bundle proves itself by at least one")
	}
	return all, nil
}

// Check scores the recorded examples: margin, probability and decision must be what the training library said, bit for bit with the forest
// engine, within tolerance (absolute, on the margin and the probability) with an engine that is not exact.
func (b *Bundle) Check(tolerance float64) error {
	s := b.NewScorer()
	for i, e := range b.Examples {
		s.Reset()
		s.Add(e.Event, time.Time{})
		out, err := s.Score()
		if err != nil {
			return fmt.Errorf("example %d: %w", i+1, err)
		}
		v := out[0].Verdict
		switch {
		case out[0].Err != nil:
			return fmt.Errorf("example %d: %w", i+1, out[0].Err)
		case !near(v.Margin, e.Margin, tolerance) || !near(v.Probability, e.Probability, tolerance):
			return fmt.Errorf("example %d: margin %v, probability %v; recorded were %v, %v", i+1, v.Margin, v.Probability, e.Margin, e.Probability)
		case v.Decision != e.Decision:
			return fmt.Errorf("example %d: decision %s, recorded was %s", i+1, v.Decision, e.Decision)
		}
	}
	return nil
}

// near is false for NaN.
func near(a, b, tolerance float64) bool { return a-b <= tolerance && b-a <= tolerance }
