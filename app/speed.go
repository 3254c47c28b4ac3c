package app

import (
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// Speed is how long a bundle takes to decode, score and decide one of its recorded examples, in batches as a scorer has them, on one core: the median of the batches that fit in about
// the given time.
func Speed(b *scorer.Bundle, within time.Duration) (time.Duration, error) {
	s := b.NewScorer()
	var all []time.Duration
	for begin := time.Now(); len(all) < 10 || time.Since(begin) < within; {
		start := time.Now()
		s.Reset()
		for i := range scoredAtOnce {
			s.Add(b.Examples[i%len(b.Examples)].Event, time.Time{})
		}
		if _, err := s.Score(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(start)/scoredAtOnce)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
