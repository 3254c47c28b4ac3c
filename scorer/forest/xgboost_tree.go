package forest

import (
	"fmt"
	"math"
)

// maxCategory is the first category number that XGBoost does not know (common/categorical.h, OutOfRangeCat); maxSetCategory bounds the bit sets
// of a model, whose size is the largest category in them.
const (
	maxCategory    = 1 << 24
	maxSetCategory = 1 << 20
)

// xgbArrays are the arrays of one tree as they stand in the document.
type xgbArrays struct {
	nodes       int
	left, right []int32
	feature     []int32
	condition   []float32
	defaultLeft []bool
	categorical map[int32][]int32 // categories by node
	leaves      int               // with vectors: rows of leaf_weights, -1 where there are none
	firstVector int               // in the model
}

func (x *xgboost) addTree(v value, path string, output int32) error {
	a, err := x.readTree(v, path)
	if err != nil {
		return err
	}
	f := x.forest
	t := xgbTree{root: int32(len(f.nodes)), output: output}
	// Pruned nodes stay in the arrays: only what the root reaches is read, in the order of the walk.
	type visit struct{ from, to int32 } // node of the document, node of the forest
	seen := make([]bool, a.nodes)
	seen[0] = true
	f.nodes = append(f.nodes, xgbNode{})
	for stack := []visit{{0, t.root}}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n, err := x.node(a, path, at.from)
		if err != nil {
			return err
		}
		if n.feature >= 0 {
			left := a.left[at.from]
			for _, c := range []int32{left, left + 1} {
				if seen[c] {
					return fmt.Errorf("%s: node %d has a child, %d, that another node has too", path, at.from, c)
				}
				seen[c] = true
			}
			if len(f.nodes) > math.MaxInt32-2 {
				return fmt.Errorf("%s: the model has more than %d nodes", path, math.MaxInt32)
			}
			n.left = int32(len(f.nodes))
			f.nodes = append(f.nodes, xgbNode{}, xgbNode{})
			stack = append(stack, visit{left + 1, n.left + 1}, visit{left, n.left})
		}
		f.nodes[at.to] = n
	}
	f.trees = append(f.trees, t)
	return nil
}

func (x *xgboost) readTree(v value, path string) (a xgbArrays, err error) {
	if v.kind != objectValue {
		return a, fmt.Errorf("%s is %s, not an object", path, kindNames[v.kind])
	}
	p, err := v.object(path, "tree_param")
	if err != nil {
		return a, err
	}
	if size, err := p.integer(path+".tree_param", "size_leaf_vector", 1, 0, math.MaxInt32); err != nil {
		return a, err
	} else if err := x.leafSize(path, size); err != nil {
		return a, err
	}
	left, err := v.get(path, "left_children")
	if err != nil {
		return a, err
	}
	if a.nodes, err = p.integer(path+".tree_param", "num_nodes", left.count, 1, math.MaxInt32); err != nil {
		return a, err
	}
	if a.left, err = left.integers(path+".left_children", a.nodes); err != nil {
		return a, err
	}
	for _, array := range []struct {
		key string
		to  *[]int32
	}{{"right_children", &a.right}, {"split_indices", &a.feature}} {
		v, err := v.get(path, array.key)
		if err != nil {
			return a, err
		}
		if *array.to, err = v.integers(path+"."+array.key, a.nodes); err != nil {
			return a, err
		}
	}
	conditions, err := v.get(path, "split_conditions")
	if err != nil {
		return a, err
	}
	if a.condition, err = conditions.floats(path+".split_conditions", a.nodes); err != nil {
		return a, err
	}
	defaults, err := v.get(path, "default_left")
	if err != nil {
		return a, err
	}
	if a.defaultLeft, err = defaults.flags(path+".default_left", a.nodes); err != nil {
		return a, err
	}
	if a.categorical, err = readCategories(v, path, a.nodes); err != nil || x.vectors == nil {
		return a, err
	}
	return a, x.readVectors(v, path, &a)
}

// readCategories gives the categories of each categorical node; the node's split_type must say so too.
func readCategories(v value, path string, nodes int) (map[int32][]int32, error) {
	types, ok := v.members["split_type"]
	if !ok || types.isEmpty() {
		return nil, nil // before 1.3
	}
	splits, err := types.integers(path+".split_type", nodes)
	if err != nil {
		return nil, err
	}
	var arrays [4][]int32
	for i, key := range []string{"categories_nodes", "categories_segments", "categories_sizes", "categories"} {
		list, ok := v.members[key]
		if !ok {
			continue
		}
		if arrays[i], err = list.integers(path+"."+key, -1); err != nil {
			return nil, err
		}
	}
	at, segments, sizes, categories := arrays[0], arrays[1], arrays[2], arrays[3]
	if len(segments) != len(at) || len(sizes) != len(at) {
		return nil, fmt.Errorf("%s: categories_nodes, _segments and _sizes have %d, %d and %d values", path, len(at), len(segments), len(sizes))
	}
	sets := map[int32][]int32{}
	for i, n := range at {
		start, size := int64(segments[i]), int64(sizes[i])
		if n < 0 || int(n) >= nodes || start < 0 || size < 0 || start+size > int64(len(categories)) {
			return nil, fmt.Errorf("%s: categories of node %d are %d to %d of %d", path, n, start, start+size, len(categories))
		}
		if _, twice := sets[n]; twice || splits[n] != 1 {
			return nil, fmt.Errorf("%s: node %d has categories, and is not a categorical split or has them twice", path, n)
		}
		sets[n] = categories[start : start+size]
	}
	for n, kind := range splits {
		if kind != 0 && kind != 1 {
			return nil, fmt.Errorf("%s.split_type, value %d is %d: 0 and 1 are known", path, n, kind)
		}
		if _, ok := sets[int32(n)]; kind == 1 && !ok {
			return nil, fmt.Errorf("%s: node %d is a categorical split without categories", path, n)
		}
	}
	return sets, nil
}

// node checks a node that the root reaches. Its children are left and left + 1: XGBoost itself never reads another right child.
func (x *xgboost) node(a xgbArrays, path string, at int32) (xgbNode, error) {
	left, right, condition := a.left[at], a.right[at], a.condition[at]
	if left == -1 && x.vectors != nil {
		return x.vectorLeaf(a, path, at)
	}
	categories, isCategorical := a.categorical[at]
	if condition != condition && !isCategorical { // that of a categorical split means nothing
		return xgbNode{}, fmt.Errorf("%s.split_conditions, value %d is NaN", path, at)
	}
	if left == -1 {
		if right != -1 {
			return xgbNode{}, fmt.Errorf("%s: node %d has a right child, %d, and no left", path, at, right)
		}
		if condition-condition != 0 {
			return xgbNode{}, fmt.Errorf("%s.split_conditions, value %d: a leaf that is not finite", path, at)
		}
		return xgbNode{feature: -1, condition: condition}, nil
	}
	if left < 1 || int(left)+1 >= a.nodes || right != left+1 {
		return xgbNode{}, fmt.Errorf("%s: node %d has the children %d and %d: they must be neighbours within %d nodes", path, at, left, right, a.nodes)
	}
	n := xgbNode{feature: a.feature[at], condition: condition, defaultLeft: a.defaultLeft[at]}
	if n.feature < 0 || int(n.feature) >= x.model.features {
		return xgbNode{}, fmt.Errorf("%s.split_indices, value %d is %d, the model has %d features", path, at, n.feature, x.model.features)
	}
	if !isCategorical {
		return n, nil
	}
	if x.forest.rules.noCategories {
		return xgbNode{}, fmt.Errorf("%s: node %d is a categorical split of XGBoost before 1.6: load and save the model with a later version, and see what that makes of it", path, at)
	}
	n.set = int32(len(x.forest.sets))
	for _, c := range categories {
		if c < 0 || c >= maxSetCategory {
			return xgbNode{}, fmt.Errorf("%s: node %d has the category %d: 0 to %d are possible", path, at, c, maxSetCategory-1)
		}
		for n.words <= c/32 {
			x.forest.sets = append(x.forest.sets, 0)
			n.words++
		}
		x.forest.sets[n.set+c/32] |= 1 << (c % 32)
	}
	n.categorical = true
	return n, nil
}
