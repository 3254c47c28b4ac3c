package forest

import "math"

// A row is laid out once for each thing that the model's splits do with missing values, so that a split need not ask: what goes left becomes
// -Inf, what goes right NaN, which is not <= anything. One more cell, always 0, stands for leaves, whose step compares it with +Inf.
type layout int32

const (
	nanRight  layout = iota // NaN is missing, and goes right; other values as they are
	nanLeft                 // NaN is missing, and goes left
	nanIsZero               // nothing is missing, NaN counts as 0
	zeroRight               // 0 and NaN are missing, and go right
	zeroLeft                // 0 and NaN are missing, and go left
	layouts
)

// cell gives what stands for a value.
func (l layout) cell(x float64) float64 {
	missing := x != x
	switch l {
	case nanIsZero:
		if missing {
			return 0
		}
		return x
	case zeroRight, zeroLeft:
		missing = missing || x == 0
	}
	switch {
	case !missing:
		return x
	case l == nanLeft || l == zeroLeft:
		return math.Inf(-1)
	}
	return math.NaN()
}

// block holds the rows of walks in lockstep.
type block struct {
	clean []float64 // row by row, as the library sees them
	cells []float64 // laid out, cell by cell
}

// lockstep is a forest's numeric trees in the form for walks in lockstep.
type lockstep struct {
	steps
	used     [layouts]bool
	free     chan *block // kept for the next call
	features int
}

// split is a numeric split, or with leaf >= 0 a leaf.
type split struct {
	leaf        int32
	threshold   float64 // left if x <= threshold
	feature     int32
	layout      layout
	left, right int32
}

// addTree copies a tree in the order of its levels, so that the children of a step stand side by side. of gives the splits, from root on.
func (k *lockstep) addTree(root int32, features int, of func(int32) split) {
	type visit struct{ from, depth int32 }
	next := int32(len(k.all)) + 1 // where the next children will stand
	deepest := int32(0)
	k.roots = append(k.roots, int32(len(k.all)))
	for queue := []visit{{from: root}}; len(queue) > 0; queue = queue[1:] {
		v := queue[0]
		s := of(v.from)
		if s.leaf >= 0 {
			k.all = append(k.all, step{threshold: math.Inf(1), right: int32(len(k.all)) + 1})
			k.leaves = append(k.leaves, s.leaf)
			deepest = max(deepest, v.depth)
			continue
		}
		k.used[s.layout] = true
		k.all = append(k.all, step{threshold: s.threshold, cell: lanes * (1 + int32(s.layout)*int32(features) + s.feature), right: next + 1})
		k.leaves = append(k.leaves, 0)
		next += 2
		queue = append(queue, visit{s.left, v.depth + 1}, visit{s.right, v.depth + 1})
	}
	k.depths = append(k.depths, deepest)
}

// skipTree marks a tree that has no lockstep form.
func (k *lockstep) skipTree() {
	k.roots = append(k.roots, -1)
	k.depths = append(k.depths, 0)
}

// keptBlocks bounds the memory that waits for the next call: as many calls may go on at once without allocating.
const keptBlocks = 16

// ready is called after the last tree.
func (k *lockstep) ready(features int) {
	k.features = features
	k.free = make(chan *block, keptBlocks)
}

// borrow gives a block; giveBack keeps it for the next call.
func (k *lockstep) borrow() *block {
	select {
	case b := <-k.free:
		return b
	default:
		return &block{clean: make([]float64, lanes*k.features), cells: make([]float64, lanes*(1+int(layouts)*k.features))}
	}
}

func (k *lockstep) giveBack(b *block) {
	select {
	case k.free <- b:
	default:
	}
}

// layOut writes the clean rows of a block, n of them, in each layout that the splits use.
func (k *lockstep) layOut(b *block, n, features int) {
	for l, used := range k.used {
		if !used {
			continue
		}
		cells := b.cells[lanes*(1+l*features):]
		for r := range n {
			for f, x := range b.clean[r*features : (r+1)*features] {
				cells[f*lanes+r] = layout(l).cell(x)
			}
		}
	}
}

// leavesOf walks a group of trees over the row of lane 0, and gives the leaf of each; -1 for a tree that has no lockstep form. number gives a tree's
// number in the model.
func (k *lockstep) leavesOf(b *block, n int, number func(int) int32) (leaves [lanes]int32) {
	var roots [lanes]int32
	deepest := int32(0)
	for i := range n {
		root := k.roots[number(i)]
		leaves[i] = root
		roots[i] = max(0, root) // a tree without lockstep form walks idly along
		deepest = max(deepest, k.depths[number(i)])
	}
	ends := roots
	if deepest > 0 {
		ends = k.walkTrees(roots, b.cells, deepest)
	}
	for i := range n {
		if leaves[i] >= 0 {
			leaves[i] = k.leaves[ends[i]]
		}
	}
	return leaves
}
