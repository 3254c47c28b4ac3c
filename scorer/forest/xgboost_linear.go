package forest

import "fmt"

// xgbLinear is the body of XGBoost's gblinear: a linear model, without trees and without iterations.
type xgbLinear struct {
	forest  *xgbForest // objective and base
	weights []float32  // feature-major, one column for each output; the last row is the bias
}

func (m *xgbLinear) objectiveName() string       { return m.forest.objective }
func (m *xgbLinear) size() int                   { return 0 }
func (m *xgbLinear) predictions(outputs int) int { return m.forest.predictions(outputs) }
func (m *xgbLinear) part(_, _, _ int) body       { return m }

func (m *xgbLinear) transform(margins, out []float64, n, outputs int) {
	m.forest.transform(margins, out, n, outputs)
}

// margins adds product by product to the bias and the base margin, in the order of the features, and passes over what is missing (gbm/gblinear.cc,
// Pred), which takes the first output's base for all outputs, also where each has its own (3.1 to 3.4). Each product is rounded before it is added: the conversion forbids a fused multiply-add.
func (m *xgbLinear) margins(rows, out []float64, n, features, outputs int) {
	for i := range n {
		row := rows[i*features : (i+1)*features]
		for c := range outputs {
			sum := m.weights[features*outputs+c] + m.forest.base[0]
			for f, x := range row {
				if x == x {
					sum += float32(float32(x) * m.weights[f*outputs+c])
				}
			}
			out[i*outputs+c] = float64(sum)
		}
	}
}

// linear reads the weights of a gblinear booster.
func (x *xgboost) linear(booster value, path string) error {
	m, err := booster.object(path, "model")
	if err != nil {
		return err
	}
	v, err := m.get(path+".model", "weights")
	if err != nil {
		return err
	}
	weights, err := v.floats(path+".model.weights", (x.model.features+1)*x.model.outputs)
	if err != nil {
		return err
	}
	for i, w := range weights {
		if w-w != 0 {
			return fmt.Errorf("%s.model.weights, value %d is not finite", path, i)
		}
	}
	x.model.body = &xgbLinear{x.forest, weights}
	return nil
}
