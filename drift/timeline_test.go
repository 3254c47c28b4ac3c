package drift

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestATimelineDoesNotDependOnTheOrder(t *testing.T) {
	p := small(t)
	rng := rand.New(rand.NewPCG(11, 12))
	const n = 3000
	s := scored(rng, n, func(i int) (int64, int64) {
		switch i % 100 {
		case 0:
			return -rng.Int64N(1e12), 0 // before 1970
		case 1:
			return 2e12, 1e12 // ahead of its record
		}
		return 1e12 + rng.Int64N(1e9), 1e12 + 1e9
	})
	count := func(order []int) *Timeline {
		line := NewTimeline(p, time.Second, time.Minute)
		for _, i := range order {
			one := Scored{Width: 3, Rows: s.Rows[3*i : 3*i+3], Probabilities: s.Probabilities[i : i+1], Decisions: s.Decisions[i : i+1], Times: s.Times[i : i+1], Timestamps: s.Timestamps[i : i+1]}
			line.Add(one)
		}
		return line
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	first := count(order)
	total, early := first.Total()
	if total.Transactions != n || early != n/100 {
		t.Errorf("%d transactions, %d early", total.Transactions, early)
	}
	stretches := first.Stretches()
	if len(stretches) > maxStretches || len(stretches) < 20 {
		t.Errorf("%d stretches", len(stretches))
	}
	in := int64(0)
	for i, w := range stretches {
		in += w.Counts.Transactions
		if !w.To.After(w.From) || i > 0 && w.From.Before(stretches[i-1].To) {
			t.Errorf("stretch %d is %v to %v", i, w.From, w.To)
		}
	}
	if in != n-early {
		t.Errorf("%d in stretches of %d", in, n-early)
	}
	for range 5 {
		rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		again := count(order)
		for i, w := range again.Stretches() {
			if !w.From.Equal(stretches[i].From) || !slices.Equal(w.Counts.bins, stretches[i].Counts.bins) {
				t.Fatalf("in another order stretch %d differs", i)
			}
		}
		if all, _ := again.Total(); !slices.Equal(all.bins, total.bins) {
			t.Fatal("in another order the total differs")
		}
	}
}
