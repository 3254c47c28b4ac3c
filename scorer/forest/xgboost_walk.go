package forest

// xgbForest is the body of an XGBoost model: float32 throughout, also the rows.
type xgbForest struct {
	objective string
	rules     xgbRules
	base      []float32 // margin that each output begins with
	last      []float32 // margin that is added to each output last; nil where it begins with it
	trees     []xgbTree
	weights   []float32 // of dart, one a tree; nil otherwise
	rounds    []int32   // the first tree of each round, and the number of trees
	nodes     []xgbNode
	sets      []uint32 // words of categorical sets
	grove     *grove[float32]
}

type xgbTree struct {
	root, output int32
}

// xgbNode is a split or, with feature -1, a leaf whose value is the condition. The right child stands behind the left.
type xgbNode struct {
	condition   float32 // numeric: left if x < condition
	feature     int32
	left        int32
	set, words  int32 // categorical: sets[set : set+words]
	categorical bool
	defaultLeft bool
}

func (m *xgbForest) objectiveName() string { return m.objective }
func (m *xgbForest) size() int             { return len(m.grove.trees) }

func (m *xgbForest) part(start, count, _ int) body {
	from, to := clampRange(start, count, len(m.rounds)-1)
	part := *m
	part.rounds = m.rounds[from : to+1]
	// The rounds of a part still count from the first tree of all.
	part.grove = m.grove.part(int(m.rounds[from]-m.rounds[0]), int(m.rounds[to]-m.rounds[0]))
	return &part
}

// leaf walks from a root to the node of a leaf (predictor/predict_fn.h, GetNextNode).
func (m *xgbForest) leaf(at int32, row []float64) int32 {
	for {
		n := &m.nodes[at]
		if n.feature < 0 {
			return at
		}
		x := float32(row[n.feature])
		var left bool
		switch {
		case x != x:
			left = n.defaultLeft
		case n.categorical && m.rules.unknownIsMissing && !(0 <= x && x < float32(32*n.words)):
			left = n.defaultLeft
		case n.categorical:
			left = !m.inSet(n, x)
		default:
			left = x < n.condition
		}
		if at = n.left; !left {
			at++
		}
	}
}

// inSet says whether x, truncated, is a category of the node's set (common/categorical.h, Decision). Negative numbers and those from 2^24 are not.
func (m *xgbForest) inSet(n *xgbNode, x float32) bool {
	if !(0 <= x && x < maxCategory) {
		return false
	}
	category := int32(x)
	return category/32 < n.words && m.sets[n.set+category/32]>>(category%32)&1 == 1
}
