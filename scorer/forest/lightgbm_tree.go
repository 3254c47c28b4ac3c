package forest

import (
	"bytes"
	"fmt"
	"math"
)

// treeParts are the arrays of one tree as they stand in the file.
type treeParts struct {
	leaves                 int
	feature, decision      []int
	left, right            []int
	threshold, value       []float64
	boundaries, setWords   []int // of categorical sets
	firstNode, firstLeaf   int32 // in the model
	firstSetWord, setCount int
}

// tree reads the next tree.
func (l *lightgbm) tree() error {
	line, _ := l.peek()
	at := l.at // after empty lines
	index, ok := bytes.CutPrefix(line, []byte("Tree="))
	if !ok || string(index) != fmt.Sprint(len(l.start)) {
		return fmt.Errorf("byte %d: %q stands where Tree=%d should", at, clip(string(line[:min(len(line), 60)])), len(l.start))
	}
	l.start = append(l.start, at)
	l.skip()
	s, err := l.section(fmt.Sprintf("tree %d (byte %d)", len(l.start)-1, at))
	if err != nil {
		return err
	}
	return l.addTree(s)
}

func (l *lightgbm) addTree(s *section) error {
	m, features := l.trees, l.model.features
	p := &l.parts
	p.firstNode, p.firstLeaf, p.firstSetWord = int32(len(m.nodes)), int32(len(m.values)), len(m.sets)
	var err error
	// No more leaves than the file has bytes for: a wrong count costs nothing.
	if p.leaves, err = s.integer("num_leaves", 1, math.MaxInt32); err != nil {
		return err
	}
	if p.setCount, err = s.integer("num_cat", 0, math.MaxInt32); err != nil {
		return err
	}
	if p.value, err = s.floats(p.value, "leaf_value", p.leaves); err != nil {
		return err
	}
	for i, v := range p.value {
		if math.IsInf(v, 0) {
			return s.errorf("leaf_value %d is not finite", i)
		}
	}
	t := tree{root: ^p.firstLeaf, first: p.firstLeaf}
	m.values = append(m.values, p.value...)
	if len(m.values) > math.MaxInt32 {
		return s.errorf("the model has more than %d leaves", math.MaxInt32)
	}
	if p.leaves > 1 {
		t.root = p.firstNode
		if err := p.readSplits(s); err != nil {
			return err
		}
		if err := p.addNodes(s, m, features); err != nil {
			return err
		}
		if err := p.checkShape(s); err != nil {
			return err
		}
	}
	if t.linear, err = readLinear(s, m, p.leaves, features); err != nil {
		return err
	}
	m.trees = append(m.trees, t)
	return nil
}

func (p *treeParts) readSplits(s *section) (err error) {
	n := p.leaves - 1
	for _, array := range []struct {
		key string
		to  *[]int
	}{{"split_feature", &p.feature}, {"decision_type", &p.decision}, {"left_child", &p.left}, {"right_child", &p.right}} {
		if *array.to, err = s.integers(*array.to, array.key, n); err != nil {
			return err
		}
	}
	if p.threshold, err = s.floats(p.threshold, "threshold", n); err != nil {
		return err
	}
	if p.setWords = p.setWords[:0]; p.setCount == 0 {
		return nil
	}
	if p.setCount > n {
		return s.errorf("num_cat is %d, the tree has %d splits", p.setCount, n)
	}
	if p.boundaries, err = s.integers(p.boundaries, "cat_boundaries", p.setCount+1); err != nil {
		return err
	}
	if p.boundaries[0] != 0 {
		return s.errorf("cat_boundaries begin at %d, not 0", p.boundaries[0])
	}
	for i := range p.setCount {
		if p.boundaries[i+1] < p.boundaries[i] || p.boundaries[i+1] > math.MaxInt32 {
			return s.errorf("cat_boundaries: %d follows %d", p.boundaries[i+1], p.boundaries[i])
		}
	}
	p.setWords, err = s.integers(p.setWords, "cat_threshold", p.boundaries[p.setCount])
	return err
}

// addNodes appends the splits to the model's nodes.
func (p *treeParts) addNodes(s *section, m *lgbForest, modelFeatures int) error {
	for i, word := range p.setWords {
		if word < 0 || word > math.MaxUint32 {
			return s.errorf("cat_threshold %d is %d, not 32 bits", i, word)
		}
		m.sets = append(m.sets, uint32(word))
	}
	for i := range p.feature {
		n := node{feature: int32(p.feature[i]), threshold: p.threshold[i], defaultLeft: p.decision[i]&2 != 0}
		if p.feature[i] < 0 || p.feature[i] >= modelFeatures {
			return s.errorf("split_feature %d is %d, the model has %d features", i, p.feature[i], modelFeatures)
		}
		if p.decision[i] < 0 || p.decision[i] > 0b1011 {
			return s.errorf("decision_type %d is %d: categorical (1), default left (2) and missing type (0, 4 or 8) are known", i, p.decision[i])
		}
		var err error
		if n.left, err = p.child(s, "left_child", i, p.left[i]); err != nil {
			return err
		}
		if n.right, err = p.child(s, "right_child", i, p.right[i]); err != nil {
			return err
		}
		if n.kind = kind(p.decision[i] >> 2); p.decision[i]&1 != 0 {
			if err := p.setOf(s, i, &n); err != nil {
				return err
			}
		}
		m.nodes = append(m.nodes, n)
	}
	return nil
}

// setOf resolves a categorical split: its threshold is the number of its set.
func (p *treeParts) setOf(s *section, i int, n *node) error {
	set := int(p.threshold[i])
	if float64(set) != p.threshold[i] || set < 0 || set >= p.setCount {
		return s.errorf("split %d is categorical, its threshold %v names none of the %d sets", i, p.threshold[i], p.setCount)
	}
	n.kind = categorical
	n.set, n.words = int32(p.firstSetWord+p.boundaries[set]), int32(p.boundaries[set+1]-p.boundaries[set])
	return nil
}

// child turns the file's number of a node or ^leaf into the model's.
func (p *treeParts) child(s *section, key string, i, c int) (int32, error) {
	switch {
	case 0 <= c && c < p.leaves-1:
		return p.firstNode + int32(c), nil
	case c < 0 && -c <= p.leaves:
		return ^(p.firstLeaf + int32(-c-1)), nil
	}
	return 0, s.errorf("%s %d is %d: nodes are 0 to %d, leaves -1 to -%d", key, i, c, p.leaves-2, p.leaves)
}

// checkShape makes sure that the root reaches every node and leaf exactly once, so that a walk ends.
func (p *treeParts) checkShape(s *section) error {
	nodes, leaves := make([]bool, p.leaves-1), make([]bool, p.leaves)
	nodes[0] = true
	reached := 1
	for stack := []int{0}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, c := range []int{p.left[at], p.right[at]} {
			seen := leaves
			index := -c - 1
			if c >= 0 {
				seen, index = nodes, c
				stack = append(stack, c)
			}
			if seen[index] {
				return s.errorf("node %d has a child, %d, that another node has too", at, c)
			}
			seen[index] = true
			reached++
		}
	}
	if reached != 2*p.leaves-1 {
		return s.errorf("the root reaches %d of %d nodes and leaves", reached, 2*p.leaves-1)
	}
	return nil
}

// readLinear reads the linear models of the leaves, where the tree has them.
func readLinear(s *section, m *lgbForest, leaves, modelFeatures int) ([]linearLeaf, error) {
	if flag, ok := s.values["is_linear"]; !ok || string(bytes.TrimSpace(flag)) == "0" {
		return nil, nil
	} else if string(bytes.TrimSpace(flag)) != "1" {
		return nil, s.errorf("is_linear is %q, must be 0 or 1", clip(string(flag)))
	}
	constants, err := s.floats(nil, "leaf_const", leaves)
	if err != nil {
		return nil, err
	}
	counts, err := s.integers(nil, "num_features", leaves)
	if err != nil {
		return nil, err
	}
	total := 0
	for i, n := range counts {
		if n < 0 || n > modelFeatures || total > math.MaxInt32/2 {
			return nil, s.errorf("num_features %d is %d, the model has %d", i, n, modelFeatures)
		}
		total += n
	}
	features, err := s.integers(nil, "leaf_features", total)
	if err != nil {
		return nil, err
	}
	coefficients, err := s.floats(nil, "leaf_coeff", total)
	if err != nil {
		return nil, err
	}
	for i, f := range features {
		if f < 0 || f >= modelFeatures {
			return nil, s.errorf("leaf_features %d is %d, the model has %d features", i, f, modelFeatures)
		}
		if math.IsInf(coefficients[i], 0) {
			return nil, s.errorf("leaf_coeff %d is not finite", i)
		}
	}
	linear := make([]linearLeaf, leaves)
	at := int32(len(m.inputs))
	for i := range linear {
		if math.IsInf(constants[i], 0) {
			return nil, s.errorf("leaf_const %d is not finite", i)
		}
		linear[i] = linearLeaf{constants[i], at, at + int32(counts[i])}
		at += int32(counts[i])
	}
	for i, f := range features {
		m.inputs = append(m.inputs, int32(f))
		m.linear = append(m.linear, coefficients[i])
	}
	return linear, nil
}
