package consumer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// outcomes is n records of which the first dead are dead letters.
func outcomes(n, dead int) []bool {
	all := make([]bool, n)
	for i := range dead {
		all[i] = true
	}
	return all
}

func TestFewBadRecordsAtTheStartDoNotStopAStream(t *testing.T) {
	b := breaker{limit: 0.5, window: 1000}
	if !b.admits(outcomes(10, 10)) {
		t.Fatal("ten bad records of an empty history stop the stream")
	}
}

func TestABrokenStreamIsStoppedWithinTheWindow(t *testing.T) {
	b := breaker{limit: 0.5, window: 1000}
	b.add(outcomes(10_000, 0))
	committed := 0
	for range 100 {
		if !b.admits(outcomes(100, 100)) {
			break
		}
		b.add(outcomes(100, 100))
		committed += 100
	}
	if committed != 500 {
		t.Errorf("%d dead letters were let through, half of the window of 1000 may be", committed)
	}
}

func TestGoodRecordsBehindBadOnesLetAStreamGoOn(t *testing.T) {
	b := breaker{limit: 0.5, window: 1000}
	if b.admits(outcomes(3000, 3000)) {
		t.Fatal("3000 bad records pass")
	}
	if !b.admits(outcomes(7000, 3000)) {
		t.Error("3000 bad among 7000 are still stopped at a limit of half")
	}
}

func TestALimitOfOneNeverStops(t *testing.T) {
	b := breaker{limit: 1, window: 10}
	for range 100 {
		if !b.admits(outcomes(1000, 1000)) {
			t.Fatal("stopped")
		}
		b.add(outcomes(1000, 1000))
	}
}

func TestHistoryIsTheLastWindowOfRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := breaker{limit: 0.5, window: rapid.IntRange(1, 50).Draw(t, "window")}
		var all []bool
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			next := rapid.SliceOfN(rapid.Bool(), 1, 80).Draw(t, "batch")
			b.add(next)
			all = append(all, next...)
		}
		if diff := cmp.Diff(all[max(0, len(all)-b.window):], b.last); diff != "" {
			t.Fatal(diff)
		}
	})
}
