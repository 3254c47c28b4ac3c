package api

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesAreWithinTheirBins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(int64(2*time.Microsecond), int64(time.Minute)), 1, 300).Draw(t, "values")
		var l Latencies
		for _, v := range values {
			l.Add(time.Duration(v))
		}
		slices.Sort(values)
		for _, q := range []float64{0.01, 0.5, 0.99, 1} {
			want := float64(values[int(math.Ceil(q*float64(len(values))))-1])
			if got := float64(l.Quantile(q)); math.Abs(got-want) > 0.021*want {
				t.Fatalf("quantile %v is %v, want %v", q, time.Duration(got), time.Duration(want))
			}
		}
	})
	if (&Latencies{}).Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}
