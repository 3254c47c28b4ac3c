package forest

import (
	"fmt"
	"slices"
)

// xgbConverters turn margins into predictions (src/objective, PredTransform), in float32 steps; nil is the identity. A model of a custom
// objective says reg:squarederror.
var xgbConverters = map[string]func([]float64){
	"binary:logistic": xgbLogistic, "reg:logistic": xgbLogistic,
	"binary:logitraw": nil, "binary:hinge": xgbHinge,
	"multi:softprob": xgbSoftmax, "multi:softmax": nil, // a class, see transform
	"count:poisson": xgbExp, "reg:gamma": xgbExp, "reg:tweedie": xgbExp, "survival:cox": xgbExp, "survival:aft": xgbExp,
	"reg:squarederror": nil, "reg:linear": nil, "reg:squaredlogerror": nil, "reg:pseudohubererror": nil, "reg:absoluteerror": nil, "reg:quantileerror": nil, // see transform
	"reg:expectileerror": expectiles,
	"rank:pairwise":      nil, "rank:ndcg": nil, "rank:map": nil,
}

// margin is the link of the objective: the margin of a base score (ProbToMargin).
func (r *xgbRules) margin(objective string, score float32) (float32, error) {
	if objective == "binary:logitraw" && r.logitrawLink {
		objective = "binary:logistic"
	}
	switch objective {
	case "binary:logistic", "reg:logistic":
		if !(0 <= score && score <= 1) {
			return 0, fmt.Errorf("%v is no probability, which the objective %s begins with", score, objective)
		}
		const near = 1e-6
		score = min(max(score, near), float32(1)-near)
		return -logf(float32(1/score) - 1), nil
	case "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft":
		if !(score > 0) {
			return 0, fmt.Errorf("%v has no logarithm, which the objective %s begins with", score, objective)
		}
		return logf(score), nil
	}
	return score, nil
}

func (m *xgbForest) predictions(outputs int) int {
	if m.objective == "multi:softmax" {
		return 1
	}
	return outputs
}

func (m *xgbForest) transform(margins, out []float64, n, outputs int) {
	if m.objective == "multi:softmax" {
		for i := range n {
			best := 0 // the first of equals
			for c, margin := range margins[i*outputs : (i+1)*outputs] {
				if margin > margins[i*outputs+best] {
					best = c
				}
			}
			out[i] = float64(best)
		}
		return
	}
	copy(out, margins)
	convert := xgbConverters[m.objective]
	switch m.objective {
	case "reg:quantileerror":
		if m.rules.sortsQuantiles {
			convert = slices.Sort[[]float64]
		}
	case "binary:logistic", "reg:logistic":
		if m.rules.sigmoidEnds {
			convert = xgbEndingLogistic
		}
	}
	if convert != nil {
		for i := range n {
			convert(out[i*outputs : (i+1)*outputs])
		}
	}
}

func xgbLogistic(row []float64) {
	for i, x := range row {
		row[i] = float64(1 / (expf(min(-float32(x), 88.7)) + 1))
	}
}

func xgbEndingLogistic(row []float64) {
	for i, x := range row {
		row[i] = float64(1 / (expf(-float32(x)) + 1))
	}
}

func xgbHinge(row []float64) {
	for i, x := range row {
		row[i] = 0
		if x > 0 {
			row[i] = 1
		}
	}
}

func xgbExp(row []float64) {
	for i, x := range row {
		row[i] = float64(expf(float32(x)))
	}
}

// xgbSoftmax subtracts the largest, and sums in float64 (common/math.h, Softmax).
func xgbSoftmax(row []float64) {
	top := float32(slices.Max(row))
	sum := 0.0
	for i, x := range row {
		row[i] = float64(expf(float32(x) - top))
		sum += row[i]
	}
	for i, x := range row {
		row[i] = float64(float32(x) / float32(sum))
	}
}
