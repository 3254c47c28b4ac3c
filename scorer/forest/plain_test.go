package forest

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestAnyModelScoresAsThePlainRulesSay holds models that no library wrote, with every mix of missing types, defaults, sets and linear leaves,
// against the slow scorer of the test: rows in blocks, left over and alone, all iterations and some.
func TestAnyModelScoresAsThePlainRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		features, outputs, iterations := rapid.IntRange(1, 6).Draw(t, "features"), rapid.IntRange(1, 3).Draw(t, "outputs"), rapid.IntRange(1, 12).Draw(t, "iterations")
		s := newSynthetic(r, features, outputs, iterations, syntheticKinds{
			leaves:  rapid.IntRange(1, 20).Draw(t, "leaves"),
			missing: rapid.Bool().Draw(t, "missing"), categorical: rapid.Bool().Draw(t, "categorical"), linear: rapid.Bool().Draw(t, "linear"),
		})
		objective := "custom"
		m, err := Load(s.text(objective))
		if err != nil {
			t.Fatalf("%v\n%s", err, s.text(objective))
		}
		n := rapid.IntRange(0, 2*wordRows+3).Draw(t, "rows")
		rows, got := syntheticRows(r, n, features), make([]float64, n*outputs)
		start := rapid.IntRange(0, iterations-1).Draw(t, "start")
		count := rapid.IntRange(1, iterations-start).Draw(t, "count")
		if err := m.Range(start, count).Margins(rows, got); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			row := rows[i*features : (i+1)*features]
			if want := s.margins(row, start, count); differences(want, got[i*outputs:(i+1)*outputs]) > 0 {
				t.Fatalf("row %v: %v, want %v\n%s", row, got[i*outputs:(i+1)*outputs], want, s.text(objective))
			}
		}
	})
}

// TestRangeIsClampedAsLightGBMDoes uses that a range of a range counts from the first range's start.
func TestRangeIsClampedAsLightGBMDoes(t *testing.T) {
	const iterations, outputs = 7, 2
	s := newSynthetic(rand.New(rand.NewPCG(1, 2)), 3, outputs, iterations, syntheticKinds{leaves: 5})
	m, err := Load(s.text("custom"))
	if err != nil {
		t.Fatal(err)
	}
	row, got := []float64{0.1, -0.2, 0.3}, make([]float64, outputs)
	for _, c := range []struct{ start, count, from, trees int }{
		{0, -1, 0, 7}, {0, 0, 0, 7}, {2, 3, 2, 3}, {2, 0, 2, 5}, {5, 100, 5, 2}, {-4, 2, 0, 2}, {7, 1, 7, 0}, {99, -1, 7, 0}, {6, 1, 6, 1},
	} {
		part := m.Range(c.start, c.count)
		if err := part.Margins(row, got); err != nil {
			t.Fatal(err)
		}
		if want := s.margins(row, c.from, c.trees); part.Trees() != c.trees*outputs || differences(want, got) > 0 {
			t.Errorf("Range(%d, %d): %d trees, %v; want %d, %v", c.start, c.count, part.Trees(), got, c.trees*outputs, want)
		}
	}
	if err := m.Range(2, 4).Range(1, 2).Margins(row, got); err != nil || differences(s.margins(row, 3, 2), got) > 0 {
		t.Errorf("a range of a range gives %v, %v", got, err)
	}
}

// TestOneModelScoresManyCallersAtOnce is for the race detector, and finds rows that meet in a shared block.
func TestOneModelScoresManyCallersAtOnce(t *testing.T) {
	const features, rowsEach, callers = 8, 2*wordRows + 3, 2 * keptBlocks
	s := newSynthetic(rand.New(rand.NewPCG(3, 4)), features, 1, 40, syntheticKinds{leaves: 31, missing: true})
	m, err := Load(s.text("binary sigmoid:1"))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			rows, got := syntheticRows(rand.New(rand.NewPCG(uint64(caller), 5)), rowsEach, features), make([]float64, rowsEach)
			for range 20 {
				if err := m.Margins(rows, got); err != nil {
					t.Error(err)
				}
				for i := range rowsEach {
					if want := s.margins(rows[i*features:(i+1)*features], 0, 40); differences(want, got[i:i+1]) > 0 {
						t.Errorf("caller %d, row %d: %v, want %v", caller, i, got[i], want)
						return
					}
				}
			}
		})
	}
	group.Wait()
}
