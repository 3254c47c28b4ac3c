package forest

import "slices"

// number is a library's own: float64 of LightGBM, float32 of XGBoost.
type number interface{ float32 | float64 }

// grove is a forest in the forms that are scored: the distinct questions of its splits, the trees sliced (slice.go), labelled (label.go), and for single rows
// (row.go, chain.go). It is immutable.
type grove[T number] struct {
	kernel            kernel
	features, outputs int
	base              []T // what the sum of each output begins with
	source            source[T]
	roots             []root
	free              *blocks[T]

	questions
	encoder          // avx512: the questions, for its search
	trees   []sliced // all, or those of a part
	values  []T      // of the leaves of each tree, from left to right, filled up with 0
	tables  []byte   // avx512: the same byte by byte
	rowsToo bool     // something looks at clean rows

	few     int // fewer rows than these are walked
	steps   steps
	chains  chains[T] // avx512
	topped  bool      // the chains lead through the tops of trees first
	order   []int32   // trees that one row is walked through by steps
	rowRuns []rowRun
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

// leaves counts those of all trees, and of the largest.
func (g *grove[T]) leaves() (total, largest int) {
	for i := range g.trees {
		n := countLeaves(g.source.split, g.roots[g.trees[i].number].at)
		total, largest = total+n, max(largest, n)
	}
	return total, largest
}

// countLeaves counts the leaves of the tree below a root.
func countLeaves(of func(int32) split, root int32) (n int) {
	for stack := []int32{root}; len(stack) > 0; {
		s := of(stack[len(stack)-1])
		if stack = stack[:len(stack)-1]; s.leaf >= 0 {
			n++
		} else {
			stack = append(stack, s.left, s.right)
		}
	}
	return n
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
