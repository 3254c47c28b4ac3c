package drift

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/mlmonitor/mlmonitor/schemas"
)

func TestPairsOfPartsAddUp(t *testing.T) {
	whole, parts := NewPairs(), [2]*Pairs{NewPairs(), NewPairs()}
	if !math.IsNaN(whole.PSI()) || !math.IsNaN(whole.Agreement()) {
		t.Errorf("of none PSI is %v, agreement %v", whole.PSI(), whole.Agreement())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	alike := 0
	for i := range 1000 {
		a, b, p, q := rng.IntN(3), rng.IntN(3), float64(rng.IntN(64))/64, float64(rng.IntN(64))/64 // sums of such are exact
		if a == b {
			alike++
		}
		whole.Add(a, b, p, q)
		parts[i%2].Add(a, b, p, q)
	}
	parts[0].Merge(parts[1])
	if !reflect.DeepEqual(whole, parts[0]) {
		t.Errorf("the parts are %+v, the whole %+v", parts[0], whole)
	}
	if whole.Count() != 1000 || whole.Agreement() != float64(alike)/1000 || whole.PSI() <= 0 || whole.Largest > 1 || whole.Sum < whole.Largest {
		t.Errorf("%+v: %v alike, PSI %v", whole, whole.Agreement(), whole.PSI())
	}
	same := NewPairs()
	same.Add(0, 0, 0.5, 0.5)
	if same.PSI() != 0 || same.Sum != 0 || same.Agreement() != 1 {
		t.Errorf("the same model: %+v, PSI %v", same, same.PSI())
	}
	for i, d := range Decisions {
		if Place(d) != i {
			t.Errorf("%s is at %d", d, Place(d))
		}
	}
	if Place("maybe") != -1 || Place(schemas.Approve) != 0 {
		t.Error("a decision that is none has a place")
	}
	for _, p := range []float64{0, 1, math.NaN()} {
		if bin := chanceBin(p); bin < 0 || bin > len(chanceEdges) {
			t.Errorf("%v is in bin %d", p, bin)
		}
	}
}
