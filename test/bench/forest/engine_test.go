package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counter is an engine over 10 rows of one feature, which counts its rows and keeps the first one of each call.
func counter(rows *int, firsts *[]float64) *local {
	pool := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	return &local{rows: pool, features: 1, score: func(part, margins []float64) error {
		*rows += len(part)
		if len(*firsts) < 4 {
			*firsts = append(*firsts, part[0])
		}
		copy(margins, part)
		return nil
	}}
}

func TestMeasurementWalksThroughThePoolForLongEnough(t *testing.T) {
	var rows int
	var firsts []float64
	ns, err := counter(&rows, &firsts).nanoseconds(4)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{0, 4, 0, 4}, firsts); diff != "" { // rows 8 and 9 are no batch
		t.Errorf("calls begin at other rows:\n%s", diff)
	}
	if spent := ns * float64(rows); spent < float64(measured.Nanoseconds()) {
		t.Errorf("%d rows of %.1f ns are %.0f ns, less than %v", rows, ns, spent, measured)
	}
}

func TestMarginsAreOfAllRowsWhateverTheBatch(t *testing.T) {
	for _, batch := range []int{1, 4, 10, 64} {
		var rows int
		var firsts []float64
		e := counter(&rows, &firsts)
		got, err := e.margins(batch)
		if diff := cmp.Diff(e.rows, got); err != nil || diff != "" {
			t.Errorf("batch %d: %v\n%s", batch, err, diff)
		}
	}
}
