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

func TestCategoriesBefore16AreRefused(t *testing.T) {
	for version, refused := range map[string]bool{"[1,3,3]": true, "[1,5,2]": true, "[1,6,0]": false, "[1,7,6]": false} {
		_, err := Load(edited(t, "xgb16_cat", `"version":\[1,6,2\]`, `"version":`+version))
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), "categorical split of XGBoost before 1.6") {
			t.Errorf("%s: %v", version, err)
		}
	}
	// A model without categorical splits is none.
	if _, err := Load(edited(t, "xgb17_nan", `"version":\[1,7,6\]`, `"version":[1,5,0]`)); err != nil {
		t.Error(err)
	}
}

// TestTheBaseComesFirstSince13 holds the place between the versions that have fixtures: xgb12_logitraw and xgb13_dart.
func TestTheBaseComesFirstSince13(t *testing.T) {
	rows := table(t, "xgb17_softprob", "rows.csv")
	var margins [3][]float64
	for i, version := range []string{"[1,2,1]", "[1,3,0]", "[1,7,6]"} {
		m, err := Load(edited(t, "xgb17_softprob", `"version":\[1,7,6\]`, `"version":`+version))
		if err != nil {
			t.Fatal(err)
		}
		margins[i] = make([]float64, len(rows)/m.Features()*m.Outputs())
		if err := m.Margins(rows, margins[i]); err != nil {
			t.Fatal(err)
		}
	}
	if differences(margins[0], margins[2]) == 0 || differences(margins[1], margins[2]) > 0 {
		t.Error("1.2 adds as 1.7 does, or 1.3 does not")
	}
}

// TestAVeryLowMarginHasAProbabilitySince16: as 1.5.2, 1.6.2 and later say of -1e30 and -89.
func TestAVeryLowMarginHasAProbabilitySince16(t *testing.T) {
	for version, want := range map[string]float64{"[1,5,2]": 0, "[1,6,0]": 3.006636e-39, "[1,7,6]": 3.006636e-39} {
		m, err := Load(edited(t, "xgb17_nan", `"version":\[1,7,6\]`, `"version":`+version))
		if err != nil {
			t.Fatal(err)
		}
		out := []float64{-1e30, -89, 0}
		if err := m.Transform(out, out); err != nil || float32(out[0]) != float32(want) || float32(out[1]) != float32(want) || out[2] != 0.5 {
			t.Errorf("%s: %v, %v", version, out, err)
		}
	}
}
