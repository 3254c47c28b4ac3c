package forest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// objective is the transform from margin to prediction (src/objective, ConvertOutput).
type objective struct {
	name    string // as in the file; "" where it has none
	convert func(o *objective, row []float64)
	sigmoid float64
	classes int
}

var converters = map[string]func(*objective, []float64){
	"binary": logistic, "multiclassova": logistic, "cross_entropy": logistic, "xentropy": logistic,
	"multiclass": softmax, "cross_entropy_lambda": logOnePlusExp, "xentlambda": logOnePlusExp,
	"poisson": exponential, "gamma": exponential, "tweedie": exponential,
	"regression": nil, "regression_l1": nil, "regression_l2": nil, "huber": nil, "fair": nil, "quantile": nil, "mape": nil, "lambdarank": nil, "rank_xendcg": nil,
	"custom": nil, "": nil, // what a custom objective means is not in the file: the prediction is the margin
}

// squaring are the objectives that train on a square root where reg_sqrt says so; the others switch it off, and do not write the word
// (regression_objective.hpp: they inherit ConvertOutput of RegressionL2loss).
var squaring = []string{"regression", "regression_l2", "regression_l1", "fair", "quantile", "mape"}

// parseObjective reads the objective line: a name, and key:value pairs or flags.
func parseObjective(line string, outputs int) (objective, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{""}
	}
	o := objective{name: words[0], sigmoid: 1}
	convert, known := converters[o.name]
	if !known {
		return o, fmt.Errorf("objective %q is not known", clip(o.name))
	}
	o.convert = convert
	found := map[string]bool{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, ":")
		if found[key] {
			return o, fmt.Errorf("objective %s: %q stands twice", o.name, clip(key))
		}
		found[key] = true
		var err error
		switch key {
		case "sigmoid":
			if o.sigmoid, err = parseSigmoid(value); err != nil {
				return o, fmt.Errorf("objective %s: sigmoid %q is not a positive number", o.name, clip(value))
			}
		case "num_class":
			if o.classes, err = strconv.Atoi(value); err != nil || o.classes != outputs {
				return o, fmt.Errorf("objective %s: num_class %q, the model has %d outputs", o.name, clip(value), outputs)
			}
		case "sqrt":
			if slices.Contains(squaring, o.name) {
				o.convert = signedSquare
			}
		}
	}
	for _, need := range map[string][]string{"binary": {"sigmoid"}, "multiclassova": {"num_class", "sigmoid"}, "multiclass": {"num_class"}}[o.name] {
		if !found[need] {
			return o, fmt.Errorf("objective %s lacks %s", o.name, need)
		}
	}
	if outputs > 1 && !slices.Contains([]string{"multiclass", "multiclassova", "custom", ""}, o.name) {
		return o, fmt.Errorf("objective %s has one output, the model %d", o.name, outputs)
	}
	return o, nil
}

func (m *lgbForest) predictions(outputs int) int { return outputs }

func (m *lgbForest) transform(margins, out []float64, n, outputs int) {
	copy(out, margins)
	if m.average {
		iterations := float64(m.size() / outputs)
		for i := range out {
			out[i] /= iterations
		}
	}
	if m.objective.convert != nil {
		for i := range n {
			m.objective.convert(&m.objective, out[i*outputs:(i+1)*outputs])
		}
	}
}

func logistic(o *objective, row []float64) {
	for i, x := range row {
		row[i] = 1 / (1 + exp(float64(-o.sigmoid*x)))
	}
}

func softmax(_ *objective, row []float64) {
	top := slices.Max(row)
	sum := 0.0
	for i, x := range row {
		row[i] = exp(x - top)
		sum += row[i]
	}
	for i := range row {
		row[i] /= sum
	}
}

func logOnePlusExp(_ *objective, row []float64) {
	for i, x := range row {
		row[i] = log1p(exp(x))
	}
}

func exponential(_ *objective, row []float64) {
	for i, x := range row {
		row[i] = exp(x)
	}
}

func signedSquare(_ *objective, row []float64) {
	for i, x := range row {
		row[i] = float64(sign(x)*x) * x
	}
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
