package forest

import (
	"slices"
	"sync/atomic"
	"unsafe"
)

// number is a library's own: float64 of LightGBM, float32 of XGBoost.
type number interface{ float32 | float64 }

// grove is a forest in the form that is scored: the distinct questions of its splits, and the trees sliced (slice.go). It is immutable.
type grove[T number] struct {
	questions
	encoder
	rowsToo           bool // something looks at the rows themselves
	features, outputs int
	trees             []sliced
	values            []T    // of the leaves of each tree, from left to right, filled up with 0
	tables            []byte // the same byte by byte, for avx512
	base              []T    // what the sum of each output begins with
	kernel            kernel
	free              *blocks[T]
	source            source[T]
	steps             steps
	tableOf           []int32 // by tree of the forest: first of its leaves' values
	chains            chains[T]
	order             []int32 // trees that one row is walked through by steps
	topped            bool    // the chains lead through their tops first
	rowRuns           []rowRun
	few               int // fewer rows than these are walked
	roots             []root
}

// source is what a grove is made of, and what scores the trees that have no sliced form.
type source[T number] interface {
	split(at int32) split
	leafValue(tree, leaf int32) (value T, constant bool)
	walk(tree int32, row []float64) T // of a clean row
	clean(values []float64)           // as the library sees them
}

// root is where a tree begins, and the output that it adds to.
type root struct{ at, output int32 }

// block is the memory of one call.
type block[T number] struct {
	rows    []float64 // clean
	answers []uint64  // slot by slot
	at      []uint64  // T(c) of a tree
	sums    []T       // output by output, row by row
	bits    []uint64  // of the leaves' numbers of a run of trees
	encoding
	row      []float64 // one
	rowRanks [256]uint8
	labelOps [labelTrees]*labelOp
	numbers  [labelTrees * wordRows]uint8 // of leaves
	values   []int32                      // of the row's leaf in each tree, among the grove's
	ends     []int32                      // where it leaves the top of each large tree
	leaf     [wordRows]uint8
}

// keptBlocks bounds the memory that waits for the next call: as many calls may go on at once without allocating.
const keptBlocks = 16

// plant makes a grove.
func plant[T number](from source[T], roots []root, features int, base []T, chosen kernel) *grove[T] {
	g := &grove[T]{features: features, outputs: len(base), base: base, source: from, roots: roots, kernel: chosen, free: &blocks[T]{others: make(chan *block[T], keptBlocks)}}
	asking := newAsking()
	grower := grower{of: from.split}
	g.trees = make([]sliced, len(roots))
	g.steps.roots, g.steps.depths, g.steps.below = make([]int32, len(roots)), make([]int32, len(roots)), make([]int32, len(roots))
	g.tableOf = make([]int32, len(roots))
	ops := 0
	for i, root := range roots {
		t := &g.trees[i]
		t.output, t.number = root.output, int32(i)
		if t.odd = !grower.read(root.at); t.odd {
			continue
		}
		for j := range grower.inOrder {
			b := &grower.inOrder[j]
			if b.leaf >= 0 {
				_, constant := from.leafValue(int32(i), b.leaf)
				t.odd = t.odd || !constant
			}
		}
		if t.odd {
			continue
		}
		t.leaves = grower.inOrder[0].leaves
		t.slots = roundUp(t.leaves)
		ops += int(t.slots) - 1
		for j := range grower.inOrder {
			if b := &grower.inOrder[j]; b.leaf < 0 && b.set == nil {
				asking.see(&b.split)
			}
		}
	}
	asking.close()
	all, labels := make([]op, 0, ops), []labelOp(nil)
	if chosen == avx512 {
		labels = make([]labelOp, 0, ops)
	}
	for i, root := range roots {
		t := &g.trees[i]
		if t.odd {
			g.chains.of = append(g.chains.of, 0) // none: nobody asks
			continue
		}
		grower.read(root.at)
		for j := range grower.inOrder {
			if b := &grower.inOrder[j]; b.leaf < 0 {
				asking.resolve(b)
			}
		}
		t.table = int32(len(g.values))
		from := len(all)
		all = grower.grow(all, g.kernel.words(), func(leaf int32) {
			value, _ := g.source.leafValue(int32(i), leaf)
			g.values = append(g.values, value)
		})
		t.ops = all[from:len(all):len(all)]
		g.values = append(g.values, make([]T, t.slots-t.leaves)...)
		grower.openTop()
		g.steps.add(i, &grower)
		g.tableOf[i] = t.table
		if chosen == avx512 {
			from := len(labels)
			labels = addLabels(labels, &grower, t.slots)
			t.labels = &labels[from]
			g.chains.add(&grower, func(leaf int32) T {
				value, _ := g.source.leafValue(int32(i), leaf)
				return value
			})
			g.steps.below[i] = grower.depthBelow()
		}
	}
	g.values = append(g.values, make([]T, maxLeaves)...) // so that each tree's may be read as an array of 256
	g.questions = asking.questions
	if len(g.ladders)+len(g.sets) <= 256 {
		g.few = chosen.fewRows()
	}
	g.rowsToo = chosen != avx512 || len(g.sets) > 0 || slices.ContainsFunc(g.trees, func(t sliced) bool { return t.odd })
	if chosen == avx512 {
		g.makeTables()
		g.chains.ladders = g.newRowLadders()
		g.encoder = g.newEncoder(chosen.words(), unsafe.Sizeof(T(0)) == 4)
	}
	g.arrange()
	return g
}

// with is the same grove for another kernel.
func (g *grove[T]) with(k kernel) *grove[T] {
	other := plant(g.source, g.roots, g.features, g.base, k)
	if n := len(g.trees); n > 0 {
		first := g.trees[0].number
		return other.part(int(first), int(first)+n)
	}
	return other.part(0, 0)
}

// part is the grove of the trees [from, to).
func (g *grove[T]) part(from, to int) *grove[T] {
	part := *g
	part.trees = slices.Clone(g.trees[from:to])
	part.arrange()
	return &part
}

// spare is the slot that a filler looks at where there is no other.
const spare = 1

// blocks waits for the next call.
type blocks[T number] struct {
	last   atomic.Pointer[block[T]] // faster than a channel, where one call follows the other
	others chan *block[T]
}

func (g *grove[T]) borrow() *block[T] {
	if b := g.free.last.Swap(nil); b != nil {
		return b
	}
	select {
	case b := <-g.free.others:
		return b
	default:
	}
	words := g.kernel.words()
	b := &block[T]{
		answers: make([]uint64, (g.slots+spare)*words),
		at:      make([]uint64, 2*maxLeaves*words),
		bits:    make([]uint64, 8*words*runTrees),
		sums:    make([]T, wordRows*words*g.outputs),
		row:     make([]float64, g.features),
		values:  make([]int32, len(g.roots)),
		ends:    make([]int32, g.chains.large.n),
	}
	if g.rowsToo {
		b.rows = make([]float64, wordRows*words*g.features)
	}
	if g.kernel == avx512 {
		b.encoding = newEncoding(g.features, len(g.ladders), len(g.sets))
	}
	for i := range g.kernel.words() {
		b.at[i] = ^uint64(0)
	}
	return b
}

func (g *grove[T]) giveBack(b *block[T]) {
	if g.free.last.CompareAndSwap(nil, b) {
		return
	}
	select {
	case g.free.others <- b:
	default:
	}
}

// margins scores rows, n × features, into out, n × outputs.
func (g *grove[T]) margins(rows, out []float64, n int) {
	b := g.borrow()
	defer g.giveBack(b)
	for n > 0 {
		k := min(n, wordRows*g.kernel.words())
		if n <= 3*g.labelled()/2 {
			k = min(n, g.labelled())
		}
		if k < g.few {
			g.walkFew(b, rows[:k*g.features], out[:k*g.outputs])
			return
		}
		if g.rowsToo {
			copy(b.rows, rows[:k*g.features])
			g.source.clean(b.rows[:k*g.features])
		}
		switch {
		case g.kernel == walk:
			g.walkBlock(b, k)
		case k <= g.labelled():
			g.labelBlock(b, rows, k)
		default:
			g.sliceBlock(b, rows, k)
		}
		for r := range k {
			for c := range g.outputs {
				out[r*g.outputs+c] = float64(b.sums[g.place(c, r)])
			}
		}
		rows, out, n = rows[k*g.features:], out[k*g.outputs:], n-k
	}
}

// labelled is the most rows of a block that are labelled.
func (g *grove[T]) labelled() int {
	if g.kernel == avx512 {
		return wordRows
	}
	return 0
}

// begin puts the base into all sums.
func (g *grove[T]) begin(b *block[T]) {
	rows := len(b.sums) / g.outputs
	for i := range b.sums {
		b.sums[i] = g.base[i/rows]
	}
}

// walkBlock adds the trees to the rows of a block the plain way.
func (g *grove[T]) walkBlock(b *block[T], n int) {
	g.begin(b)
	for i := range g.trees {
		g.walkTree(b, &g.trees[i], n)
	}
}

// walkTree adds one tree to the rows of a block.
func (g *grove[T]) walkTree(b *block[T], t *sliced, n int) {
	for r := range n {
		b.sums[g.place(int(t.output), r)] += g.source.walk(t.number, b.rows[r*g.features:(r+1)*g.features])
	}
}

// answerBlock asks all questions of the rows of a block.
func (g *grove[T]) answerBlock(b *block[T], rows []float64, n int) {
	words := g.kernel.words()
	if g.kernel != avx512 {
		clear(b.answers)
	}
	for word := range (n + wordRows - 1) / wordRows {
		first := word * wordRows
		count := min(n-first, wordRows)
		if g.kernel != avx512 {
			g.answerRanks(b.answers, words, word, b.rows[first*g.features:], count, g.features)
		} else if len(g.ladders) > 0 {
			g.answerVector(b, rows[first*g.features:], word, count)
		}
		if len(g.sets) > 0 {
			g.answerSets(b.answers, words, word, b.rows[first*g.features:], count, g.features)
		}
	}
	if g.kernel != avx512 {
		g.climb(b.answers, words)
	}
}

// sliceBlock adds the trees to the rows of a block, in file order, run by run.
func (g *grove[T]) sliceBlock(b *block[T], rows []float64, n int) {
	g.begin(b)
	g.answerBlock(b, rows, n)
	for trees := g.trees; len(trees) > 0; {
		if t := &trees[0]; t.odd {
			g.walkTree(b, t, n)
			trees = trees[1:]
			continue
		}
		run := g.run(trees)
		g.sliceTrees(b, run)
		for word := range (n + wordRows - 1) / wordRows {
			g.sumTrees(b, run, word)
		}
		trees = trees[len(run):]
	}
}

// runTrees is the most trees of a run: as many as leave their bits in the nearest cache.
const runTrees = 16

// run is the trees from the first on that are alike: of one size, and for one output.
func (g *grove[T]) run(trees []sliced) []sliced {
	n := 1
	for n < min(len(trees), runTrees) && !trees[n].odd && trees[n].slots == trees[0].slots && trees[n].output == trees[0].output {
		n++
	}
	return trees[:n]
}

// sliceTrees writes the numbers of the leaves of a run, bit by bit: words to a bit, eight bits to a tree.
func (g *grove[T]) sliceTrees(b *block[T], run []sliced) {
	if g.kernel != portable {
		sliceRun(&run[0].ops[0], len(run[0].ops), len(run), &b.answers[0], &b.at[0], &b.bits[0])
		return
	}
	for i := range run {
		run[i].slice(b.answers, (*[2 * maxLeaves]uint64)(b.at), (*[8]uint64)(b.bits[8*i:]))
	}
}

// sumTrees adds the values of these leaves to the sums of the rows of one word.
func (g *grove[T]) sumTrees(b *block[T], run []sliced, word int) {
	words := g.kernel.words()
	sums := (*[wordRows]T)(b.sums[(int(run[0].output)*words+word)*wordRows:])
	if g.kernel == avx512 {
		g.sumVector(b, run, word, sums)
		return
	}
	for i := range run {
		var bits [8]uint64
		for j := range bits {
			bits[j] = b.bits[(8*i+j)*words+word]
		}
		numbers(&bits, &b.leaf)
		values := (*[maxLeaves]T)(g.values[run[i].table:])
		for r, leaf := range b.leaf {
			sums[r] += values[leaf]
		}
	}
}
