package forest

import "slices"

// planting makes a grove.
type planting[T number] struct {
	*grove[T]
	asking *asking
	grower grower
	ops    []op
	labels []labelOp
	// of the tree that is surveyed
	stack   []int32
	numeric []split
}

// plant makes the grove of all trees of a forest, for one kernel.
func plant[T number](from source[T], roots []root, features int, base []T, chosen kernel) *grove[T] {
	g := &grove[T]{
		kernel: chosen, features: features, outputs: len(base), base: base, source: from, roots: roots,
		free: &blocks[T]{others: make(chan *block[T], keptBlocks)}, trees: make([]sliced, len(roots)), steps: newSteps(len(roots)),
	}
	p := planting[T]{grove: g, asking: newAsking(features), grower: grower{of: from.split}}
	splits := 0
	for i, root := range roots {
		splits += p.survey(i, root)
	}
	p.asking.close()
	p.ops = make([]op, 0, splits)
	if chosen == avx512 {
		p.labels = make([]labelOp, 0, splits)
	}
	for i, root := range roots {
		p.grow(i, root)
	}
	g.values = append(g.values, make([]T, maxLeaves)...) // so that each tree's may be read as an array of 256
	g.questions = p.asking.questions
	if len(g.ladders)+len(g.sets) <= 256 {
		g.few = chosen.fewRows()
	}
	g.rowsToo = chosen != avx512 || len(g.sets) > 0 || slices.ContainsFunc(g.trees, func(t sliced) bool { return t.odd })
	if chosen == avx512 {
		g.makeTables()
		g.chains.ladders = g.newRowLadders()
		g.encoder = g.newEncoder(chosen.words(), g.single())
	}
	g.arrange()
	return g
}

// survey says whether a tree has a sliced form, and takes note of what it asks. It returns how many splits that form has, fillers included.
func (p *planting[T]) survey(i int, root root) int {
	t := &p.trees[i]
	t.output, t.number = root.output, int32(i)
	p.numeric = p.numeric[:0]
	for stack := append(p.stack[:0], root.at); len(stack) > 0; {
		s := p.source.split(stack[len(stack)-1])
		stack = stack[:len(stack)-1]
		switch {
		case s.leaf < 0:
			stack = append(stack, s.left, s.right)
			p.stack = stack
			if s.set == nil {
				p.numeric = append(p.numeric, s)
			}
			continue
		case t.leaves == maxLeaves:
			t.odd = true
		default:
			_, constant := p.source.leafValue(t.number, s.leaf)
			t.odd = !constant
			t.leaves++
		}
		if t.odd {
			return 0
		}
	}
	for i := range p.numeric {
		p.asking.see(&p.numeric[i])
	}
	t.slots = roundUp(t.leaves)
	return int(t.slots) - 1
}

// grow puts a tree into all its forms.
func (p *planting[T]) grow(i int, root root) {
	t := &p.trees[i]
	if t.odd {
		p.chains.of = append(p.chains.of, 0) // none: nobody asks
		return
	}
	p.grower.read(root.at)
	for j := range p.grower.inOrder {
		if b := &p.grower.inOrder[j]; b.leaf < 0 {
			p.asking.resolve(b)
		}
	}
	value := func(leaf int32) T {
		v, _ := p.source.leafValue(t.number, leaf)
		return v
	}
	from := len(p.ops)
	t.table = int32(len(p.values))
	p.ops = p.grower.grow(p.ops, p.kernel.words(), func(leaf int32) { p.values = append(p.values, value(leaf)) })
	t.ops = p.ops[from:len(p.ops):len(p.ops)]
	p.values = append(p.values, make([]T, t.slots-t.leaves)...)
	p.grower.openTop()
	p.steps.add(i, &p.grower, t.table)
	if p.kernel == avx512 {
		from := len(p.labels)
		p.labels = addLabels(p.labels, &p.grower, t.slots)
		t.labels = &p.labels[from]
		p.chains.add(&p.grower, value)
		p.steps.below[i] = p.grower.depthBelow()
	}
}
