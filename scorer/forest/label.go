package forest

import "unsafe"

// For up to 64 rows, questions are not worth asking beforehand: the avx512 kernel goes through the splits of eight trees at a time, from left to right, with the
// numbers of the rows' leaves as bytes in registers. Of the tree whose leaves right of the split are cut off, a row's leaf is known; if that is one
// below the split, and the row goes right there, its leaf is the split's own, the first to the right of it.

// labelOp is a split: the offset of its ranks, its number, and its first leaf.
type labelOp struct {
	column        uint32
	number, first uint8
	_             uint16
}

// labelTrees is how many trees go side by side.
const labelTrees = 8

// addLabels appends the splits of the tree that was read and grown, from left to right, and fillers that no rank is above.
func addLabels(all []labelOp, g *grower, slots int32) []labelOp {
	start := len(all)
	for range slots - 1 {
		all = append(all, labelOp{number: stay})
	}
	for i := range g.inOrder {
		if b := &g.inOrder[i]; b.leaf < 0 {
			all[start+int(g.inOrder[b.rightAt].first)-1] = labelOp{column: uint32(b.column) * wordRows, number: uint8(b.number), first: uint8(b.first)}
		}
	}
	return all
}

// labelBlock adds the trees to at most 64 rows, in file order.
func (g *grove[T]) labelBlock(b *block[T], rows []float64, n int) {
	g.begin(b)
	if len(g.ladders) > 0 {
		g.rankVector(b, rows, n)
	}
	g.labelSets(b, n)
	for trees := g.trees; len(trees) > 0; {
		if t := &trees[0]; t.odd {
			g.walkTree(b, t, n)
			trees = trees[1:]
			continue
		}
		run := g.run(trees)
		for done := 0; done < len(run); done += labelTrees {
			g.labelRun(b, run[done:min(done+labelTrees, len(run))], n)
		}
		trees = trees[len(run):]
	}
}

// labelSets writes the ranks on the sets, 0 or 1.
func (g *grove[T]) labelSets(b *block[T], n int) {
	for i := range g.sets {
		s := &g.sets[i]
		ranks := b.ranks[(len(g.ladders)+i)*wordRows:]
		for r := range n {
			ranks[r] = 0
			if s.right(b.rows[r*g.features+int(s.feature)]) {
				ranks[r] = 1
			}
		}
	}
}

func (g *grove[T]) labelRun(b *block[T], run []sliced, n int) {
	steps := 1
	for i := range b.labelOps {
		t := &run[min(i, len(run)-1)]
		b.labelOps[i] = t.labels
		steps = max(steps, int(t.leaves)-1)
	}
	label := label64
	switch {
	case n <= 16:
		label = label16
	case n <= 32:
		label = label32
	}
	label(&b.labelOps, steps, &b.ranks[0], &b.numbers[0])
	if n <= 32 {
		g.sumFew(b, run, n)
		return
	}
	sums := unsafe.Pointer(&b.sums[g.place(int(run[0].output), 0)])
	tables := &g.tables[run[0].tables]
	switch small := run[0].slots <= 64; {
	case small && !g.single():
		labelSum64(&b.numbers[0], len(run), tables, sums)
	case small:
		labelSum64f(&b.numbers[0], len(run), tables, sums)
	case !g.single():
		labelSum256(&b.numbers[0], len(run), tables, sums)
	default:
		labelSum256f(&b.numbers[0], len(run), tables, sums)
	}
}

// sumFew adds the values of the leaves of a run to the sums of at most 32 rows, 16 at a time.
func (g *grove[T]) sumFew(b *block[T], run []sliced, n int) {
	sum := sum16
	if g.single() {
		sum = sum16f
	}
	for first := 0; first < n; first += 16 {
		values, size := &g.values[run[0].table], unsafe.Sizeof(T(0))
		sum(&b.numbers[first], len(run), unsafe.Pointer(values), int(run[0].slots)*int(size), unsafe.Pointer(&b.sums[g.place(int(run[0].output), first)]))
	}
}
