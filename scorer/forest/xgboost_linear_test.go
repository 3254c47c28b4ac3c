package forest

import (
	"math"
	"strings"
	"testing"
)

func TestWrongLinearModelsAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ field, becomes, want string }{
		{`"weights":\[[^,]+,`, `"weights":[`, "gradient_booster.model.weights has 17 values, 18 are needed"},
		{`"weights":\[[^,]+,`, `"weights":[0,0,`, "gradient_booster.model.weights has 19 values, 18 are needed"},
		{`"weights":\[[^,]+,`, `"weights":[NaN,`, "weights, value 0 is not finite"},
		{`"weights":\[[^,]+,`, `"weights":["1",`, "weights"},
		{`"weights":`, `"trees":`, "model.weights is missing"},
		{`"model":{"boosted`, `"other":{"boosted`, "gradient_booster.model is missing"},
		{`"num_feature":"5"`, `"num_feature":"6"`, "weights has 18 values, 21 are needed"},
	} {
		if _, err := Load(edited(t, "xgb_gblinear_multi", c.field, c.becomes)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s becomes %s: %v does not say %q", c.field, c.becomes, err, c.want)
		}
	}
}

// TestALinearProductIsRoundedBeforeItIsAdded would fail where a compiler fuses the two: 0x1.000002p0 squared is 0x1.000004p0 and a rest that float32 drops.
func TestALinearProductIsRoundedBeforeItIsAdded(t *testing.T) {
	x := math.Nextafter32(1, 2)
	m := &xgbLinear{forest: &xgbForest{base: []float32{0}}, weights: []float32{x, -float32(x * x)}}
	out := []float64{7}
	m.margins([]float64{float64(x)}, out, 1, 1, 1)
	if out[0] != 0 {
		t.Errorf("%v is the rest of a fused product", out[0])
	}
	m.margins([]float64{math.NaN()}, out, 1, 1, 1)
	if out[0] != float64(-float32(x*x)) {
		t.Errorf("a missing value gives %v", out[0])
	}
}
