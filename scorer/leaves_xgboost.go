package scorer

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/dmitryikh/leaves"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// xgboostObjectives are those of a single output that leaves is tested on, and their older names.
var xgboostObjectives = []string{"binary:logistic", "binary:logitraw", "reg:logistic", "reg:squarederror", "reg:linear"}

// loadLeavesXGBoost reads a binary model of XGBoost 0.90 or before.
func loadLeavesXGBoost(data []byte) (Model, error) {
	file, err := parseXGBoostBinary(data)
	if err != nil {
		return nil, fmt.Errorf("XGBoost binary: %w", err)
	}
	if file.outputs != 1 {
		return nil, fmt.Errorf("XGBoost binary: the objective %q with %d outputs is refused, leaves was measured 0.05 off on such a model: save it as JSON with XGBoost 1.0 to 3.0, and use SCORER_ENGINE=forest", file.objective, file.outputs)
	}
	if !slices.Contains(xgboostObjectives, file.objective) {
		return nil, fmt.Errorf("XGBoost binary: the objective %q is not tested with leaves, which reads %v: save the model as JSON with XGBoost 1.0 to 3.0, and use SCORER_ENGINE=forest", file.objective, xgboostObjectives)
	}
	ensemble, err := leaves.XGEnsembleFromReader(bufio.NewReader(bytes.NewReader(data)), false)
	if err != nil {
		return nil, fmt.Errorf("leaves cannot read this XGBoost binary model: %w; save it as JSON with XGBoost 1.0 to 3.0, and use SCORER_ENGINE=forest", err)
	}
	shape, err := xgboostShape(file)
	if err != nil {
		return nil, err
	}
	return &leavesModel{ensemble, shape, "XGBoost binary (0.90 or before), " + file.booster, "within 1.3e-6 of XGBoost on the models that it was tested on: it adds in float64, XGBoost in float32", file.trees, xgboostInput}, nil
}

// xgboostShape has the model's shape and transform without its trees: the transform of the forest engine has the C library's bits.
func xgboostShape(file *xgboostBinary) (*forest.Model, error) {
	return forest.Load(fmt.Appendf(nil, `{"version":[1,0,0],"learner":{"objective":{"name":%q},
		"learner_model_param":{"base_score":"0.5","num_class":"0","num_feature":"%d"},
		"gradient_booster":{"name":"gbtree","model":{"gbtree_model_param":{"num_trees":"0","num_parallel_tree":"1"},"tree_info":[],"trees":[]}}}}`,
		file.objective, file.features))
}

// xgboostInput makes leaves' x <= threshold the same as XGBoost's float32(x) < threshold, for every finite float32 threshold.
func xgboostInput(x float64) float64 {
	return float64(math.Nextafter32(float32(x), float32(math.Inf(1))))
}
