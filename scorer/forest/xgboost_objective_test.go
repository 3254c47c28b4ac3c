package forest

import (
	"strings"
	"testing"
)

// TestQuantilesAreSortedSince34Only: whoever wrote the model says how; the fixtures have rows whose quantiles cross.
func TestQuantilesAreSortedSince34Only(t *testing.T) {
	for version, want := range map[string][]float64{
		`"version":[3,3,9]`:  {3, 1, 2, 5, 4, 4},
		`"version":[3,4,0]`:  {1, 2, 3, 4, 4, 5},
		`"version":[3,10,0]`: {1, 2, 3, 4, 4, 5},
	} {
		m, err := Load(edited(t, "xgb34_quantiles", `"version":\[3,4,1\]`, version))
		if err != nil {
			t.Fatal(err)
		}
		out := []float64{3, 1, 2, 5, 4, 4}
		if err := m.Transform(out, out); err != nil || differences(want, out) > 0 {
			t.Errorf("%s: %v, %v", version, out, err)
		}
	}
}

func TestSeveralExpectilesAreRefused(t *testing.T) {
	_, err := Load(edited(t, "xgb34_quantiles", `"name":"reg:quantileerror"`, `"name":"reg:expectileerror"`))
	if err == nil || !strings.Contains(err.Error(), "reg:expectileerror with 3 expectiles") {
		t.Error(err)
	}
}
