package forest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// xgboost reads a model from its document. All trees count, as in Booster.predict: best_iteration, which scikit-learn's wrappers stop at, is
// only an attribute of the file (Model.BestIteration).
type xgboost struct {
	model     *Model
	forest    *xgbForest
	vectors   *xgbVectors // where leaves have a value for each output
	perRound  int         // trees of a round, before 2.0
	baseScore string
}

func loadXGBoost(read func([]byte) (value, error), data []byte, format string) (*Model, error) {
	doc, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("the file is no whole %s document: %w", format, err)
	}
	x := &xgboost{model: &Model{width: 32}, forest: &xgbForest{}}
	x.model.body = x.forest
	if err := x.read(doc, format); err != nil {
		return nil, fmt.Errorf("XGBoost %s: %w", format, err)
	}
	return x.model, nil
}

func (x *xgboost) read(doc value, format string) error {
	if err := x.version(doc, format); err != nil {
		return err
	}
	learner, err := doc.object("model", "learner")
	if err != nil {
		return err
	}
	if err := x.params(learner); err != nil {
		return err
	}
	if err := x.booster(learner); err != nil {
		return err
	}
	switch {
	case x.model.body != x.forest: // linear
	case x.vectors != nil:
		x.vectors.trees, x.vectors.weights, x.vectors.rounds = x.forest.trees, x.forest.weights, x.forest.rounds
		x.model.body = x.vectors
	default:
		if r := &x.forest.rules; r.treesFirst || r.dartTreesFirst && x.forest.weights != nil {
			x.forest.last, x.forest.base = x.forest.base, make([]float32, x.model.outputs)
		}
		x.forest.grove = plant(x.forest, x.forest.roots(), x.model.features, x.forest.base, best())
	}
	x.bestIteration(learner)
	return nil
}

// bestIteration reads what early stopping recorded. It is an attribute, as anybody may set: what is no round of the model counts as not there.
func (x *xgboost) bestIteration(learner value) {
	attributes, ok := learner.members["attributes"]
	if !ok {
		return
	}
	text, err := attributes.str("learner.attributes", "best_iteration")
	if err != nil {
		return
	}
	if n, err := strconv.Atoi(text); err == nil && 0 <= n && n < x.model.Iterations() {
		x.model.best = n + 1
	}
}

// version is [major, minor, patch].
func (x *xgboost) version(doc value, format string) error {
	v, err := doc.get("model", "version")
	if err != nil {
		return err
	}
	version, err := v.integers("model.version", 3)
	if err != nil {
		return err
	}
	if version[0] < 1 || version[0] > 3 {
		return fmt.Errorf("model.version is %d.%d.%d: XGBoost 1, 2 and 3 are known", version[0], version[1], version[2])
	}
	x.model.format = fmt.Sprintf("XGBoost %s %d.%d.%d", format, version[0], version[1], version[2])
	x.forest.rules = rulesOf(version[0], version[1])
	return nil
}

// params reads the shape, the objective and the base score.
func (x *xgboost) params(learner value) error {
	const path = "learner.learner_model_param"
	p, err := learner.object("learner", "learner_model_param")
	if err != nil {
		return err
	}
	if x.model.features, err = p.integer(path, "num_feature", 0, 0, maxFeatures); err != nil {
		return err
	}
	classes, err := p.integer(path, "num_class", 0, 0, maxOutputs)
	if err != nil {
		return err
	}
	targets, err := p.integer(path, "num_target", 1, 0, maxOutputs)
	if err != nil {
		return err
	}
	x.model.outputs = max(classes, targets, 1)
	objective, err := learner.object("learner", "objective")
	if err != nil {
		return err
	}
	if x.forest.objective, err = objective.str("learner.objective", "name"); err != nil {
		return err
	}
	if _, known := xgbConverters[x.forest.objective]; !known {
		return fmt.Errorf("objective %q is not known", clip(x.forest.objective))
	}
	if x.baseScore, err = p.str(path, "base_score"); err != nil {
		return err
	}
	x.perRound = max(classes, 1)
	if err := x.base(); err != nil {
		return fmt.Errorf("%s.base_score: %w", path, err)
	}
	return x.featureNames(learner)
}

// base turns the base score, which has the scale of the prediction, into the margin that each sum begins with. Up to 3.0 it is one number, since
// 3.1 a list with one for all outputs or one for each.
func (x *xgboost) base() error {
	list, ok := strings.CutPrefix(x.baseScore, "[")
	if list, ok = strings.CutSuffix(list, "]"); !ok {
		list = x.baseScore
	}
	words := strings.Split(list, ",")
	if x.forest.objective == "reg:quantileerror" && x.model.outputs == 1 && len(words) <= maxOutputs {
		x.model.outputs = len(words) // one output for each quantile, which the parameters do not say
	}
	if len(words) != 1 && len(words) != x.model.outputs {
		return fmt.Errorf("%d scores for %d outputs", len(words), x.model.outputs)
	}
	for i := range x.model.outputs {
		word := words[min(i, len(words)-1)]
		score, err := parseFloat32(strings.TrimSpace(word))
		if err != nil || score != score || math.IsInf(float64(score), 0) {
			return fmt.Errorf("%q is not a finite number", clip(word))
		}
		margin, err := x.forest.rules.margin(x.forest.objective, score)
		if err != nil {
			return err
		}
		x.forest.base = append(x.forest.base, margin)
	}
	if x.forest.objective == "reg:expectileerror" {
		expectileMargins(x.forest.base)
	}
	return nil
}

func (x *xgboost) featureNames(learner value) error {
	names, ok := learner.members["feature_names"]
	if !ok || names.isEmpty() {
		return nil
	}
	if len(names.items) != x.model.features {
		return fmt.Errorf("learner.feature_names has %d names, the model %d features", len(names.items), x.model.features)
	}
	for i, name := range names.items {
		if name.kind != stringValue {
			return fmt.Errorf("learner.feature_names, value %d is %s, not a string", i, kindNames[name.kind])
		}
		x.model.names = append(x.model.names, name.text)
	}
	return nil
}

// booster finds the trees and, for dart, their weights, which moved in 3.3 and again in 3.4.
func (x *xgboost) booster(learner value) error {
	path := "learner.gradient_booster"
	b, err := learner.object("learner", "gradient_booster")
	if err != nil {
		return err
	}
	name, err := b.str(path, "name")
	if err != nil {
		return err
	}
	weights, weighted := b.members["weight_drop"] // beside gbtree (up to 3.2) or beside model (3.3)
	switch name {
	case "gbtree":
	case "dart":
		if inner, ok := b.members["gbtree"]; ok {
			b, path = inner, path+".gbtree"
		}
		if !weighted {
			return errors.New(path + ": a dart booster without weight_drop")
		}
	case "gblinear":
		return x.linear(b, path)
	default:
		return fmt.Errorf("the booster %q is not known: gbtree, dart and gblinear are", clip(name))
	}
	m, err := b.object(path, "model")
	if err != nil {
		return err
	}
	if !weighted {
		weights, weighted = m.members["weight_drop"] // 3.4
	}
	if err := x.trees(m, path+".model"); err != nil {
		return err
	}
	if !weighted || weights.isEmpty() && name == "gbtree" {
		return nil
	}
	x.forest.weights, err = weights.floats(path+".weight_drop", len(x.forest.trees))
	for i, w := range x.forest.weights {
		if err == nil && (w != w || math.IsInf(float64(w), 0)) {
			err = fmt.Errorf("%s.weight_drop, value %d is not finite", path, i)
		}
	}
	return err
}

func (x *xgboost) trees(m value, path string) error {
	p, err := m.object(path, "gbtree_model_param")
	if err != nil {
		return err
	}
	list, err := m.get(path, "trees")
	if err != nil {
		return err
	}
	if list.kind != listValue {
		return fmt.Errorf("%s.trees is %s, not a list", path, kindNames[list.kind])
	}
	n := len(list.items)
	declared, err := p.integer(path+".gbtree_model_param", "num_trees", n, 0, math.MaxInt32)
	if err != nil {
		return err
	}
	if declared != n {
		return fmt.Errorf("%s.gbtree_model_param.num_trees is %d, there are %d trees", path, declared, n)
	}
	parallel, err := p.integer(path+".gbtree_model_param", "num_parallel_tree", 1, 0, math.MaxInt32)
	if err != nil {
		return err
	}
	x.perRound *= max(parallel, 1)
	info, err := m.get(path, "tree_info")
	if err != nil {
		return err
	}
	outputs, err := info.integers(path+".tree_info", n)
	if err != nil {
		return err
	}
	for i, tree := range list.items {
		if outputs[i] < 0 || int(outputs[i]) >= x.model.outputs {
			return fmt.Errorf("%s.tree_info, value %d is %d, the model has %d outputs", path, i, outputs[i], x.model.outputs)
		}
		if err := x.addTree(tree, fmt.Sprintf("tree %d", i), outputs[i]); err != nil {
			return err
		}
		if x.vectors != nil && outputs[i] != 0 {
			return fmt.Errorf("%s.tree_info, value %d is %d, a tree for all outputs has 0", path, i, outputs[i])
		}
	}
	return x.rounds(m, path, n)
}

// rounds says which trees each round of boosting made.
func (x *xgboost) rounds(m value, path string, n int) error {
	v, ok := m.members["iteration_indptr"]
	if !ok && x.vectors != nil {
		return errors.New(path + ".iteration_indptr is missing")
	}
	if !ok { // before 2.0
		for at := 0; at <= n; at += x.perRound {
			x.forest.rounds = append(x.forest.rounds, int32(at))
		}
		if n%x.perRound != 0 {
			return fmt.Errorf("%d trees are no whole number of rounds of %d", n, x.perRound)
		}
		return nil
	}
	rounds, err := v.integers(path+".iteration_indptr", -1)
	if err != nil {
		return err
	}
	if len(rounds) == 0 && n == 0 {
		rounds = []int32{0}
	}
	if len(rounds) == 0 || rounds[0] != 0 || int(rounds[len(rounds)-1]) != n {
		return fmt.Errorf("%s.iteration_indptr must go from 0 to the number of trees, %d", path, n)
	}
	for i := 1; i < len(rounds); i++ {
		if rounds[i] < rounds[i-1] {
			return fmt.Errorf("%s.iteration_indptr, value %d falls", path, i)
		}
	}
	x.forest.rounds = rounds
	return nil
}
