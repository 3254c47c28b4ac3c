package main

import (
	"testing"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// The stated rate holds on the simulator's stream, whose transactions are not independent, and would not if they were taken for independent.
func TestTheStreamWithoutDriftRaisesFewAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("lives through four weeks of transactions")
	}
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]result, len(sizes))
	for i, size := range sizes {
		all[i] = result{Size: size, Features: map[string]int{}}
	}
	for first := range uint64(2) {
		stream(b, (first+1)<<32, all)
	}
	for _, r := range all {
		low, high := interval(r.Named, r.Windows)
		t.Logf("windows of %d: %d of %d named, 95 %% interval %.2f to %.2f %%; %d significant if independent", r.Size, r.Named, r.Windows, 100*low, 100*high, r.Independent)
		if low > 0.01 {
			t.Errorf("windows of %d: %.2f to %.2f %% are named, 1 %% is stated", r.Size, 100*low, 100*high)
		}
		if r.Independent < r.Windows/2 {
			t.Errorf("windows of %d: taken for independent only %d of %d alarm: the stream has nothing to correct", r.Size, r.Independent, r.Windows)
		}
	}
}
