package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Point is how many frauds and honest transactions have a probability.
type Point struct {
	P      float64 `json:"p"`
	Fraud  int64   `json:"fraud"`
	Honest int64   `json:"honest"`
}

// MaxPoints bounds the memory of Scores: beyond as many distinct probabilities they are made coarser.
const MaxPoints = 2_000_000

// Scores counts transactions by probability, exactly while there are at most MaxPoints distinct ones; then the last bits of the probabilities go, which Bits tells. The zero value has counted none.
type Scores struct {
	Points []Point `json:"points"` // in any order until Ranked
	Bits   int     `json:"bits"`   // of the 52 of a probability's fraction that were dropped
	whole  int     // of Points that are sorted and distinct
}

// Add counts a transaction.
func (s *Scores) Add(p float64, fraud bool) {
	one := Point{P: s.coarse(p)}
	if fraud {
		one.Fraud = 1
	} else {
		one.Honest = 1
	}
	s.Points = append(s.Points, one)
	if len(s.Points) >= 2*MaxPoints || len(s.Points) > 4*s.whole+100_000 {
		s.compact()
	}
}

// Merge adds what another counted.
func (s *Scores) Merge(o *Scores) {
	s.Bits = max(s.Bits, o.Bits)
	s.Points = append(s.Points, o.Points...)
	s.compact()
}

// Ranked gives the points by falling probability, each once.
func (s *Scores) Ranked() []Point {
	s.compact()
	return s.Points
}

func (s *Scores) coarse(p float64) float64 {
	return math.Float64frombits(math.Float64bits(p) &^ (1<<s.Bits - 1))
}

func (s *Scores) compact() {
	for {
		for i := range s.Points {
			s.Points[i].P = s.coarse(s.Points[i].P)
		}
		slices.SortFunc(s.Points, func(a, b Point) int { return cmp.Compare(b.P, a.P) })
		kept := s.Points[:0]
		for _, p := range s.Points {
			if n := len(kept); n > 0 && kept[n-1].P == p.P {
				kept[n-1].Fraud += p.Fraud
				kept[n-1].Honest += p.Honest
				continue
			}
			kept = append(kept, p)
		}
		s.Points, s.whole = kept, len(kept)
		if len(kept) <= MaxPoints {
			return
		}
		s.Bits += 8
	}
}

// Check refuses points that no counting gives.
func (s *Scores) Check() error {
	if s.Bits < 0 || s.Bits > 52 {
		return fmt.Errorf("scores have %d bits dropped", s.Bits)
	}
	for _, p := range s.Points {
		if !(p.P >= 0 && p.P <= 1) || p.Fraud < 0 || p.Honest < 0 {
			return fmt.Errorf("scores have the point %+v", p)
		}
	}
	return nil
}
