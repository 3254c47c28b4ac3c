package forest

import (
	"math"
	"slices"
)

// Most splits of a forest ask what other splits ask too: 500 trees of 63 leaves over 30 features hold 31,000 splits and some 4,000 different
// questions. So each question is asked once of a block of rows; its answer is a bit for each row, set where the row goes right.

// word is the answer of 64 rows.
const wordRows = 64

// layout is what a split does with missing values.
type layout uint8

const (
	nanRight  layout = iota // NaN is missing, and goes right; other values as they are
	nanLeft                 // NaN is missing, and goes left
	nanIsZero               // nothing is missing, NaN counts as 0
	zeroRight               // 0 and NaN are missing, and go right
	zeroLeft                // 0 and NaN are missing, and go left
	layouts
)

// split is a split as every library means it, or with leaf >= 0 a leaf.
type split struct {
	leaf        int32
	left, right int32
	feature     int32
	threshold   float64 // numeric: right if x > threshold
	layout      layout
	set         *set // categorical
}

// set is a question about a category: does x, truncated, stand in a set of numbers?
type set struct {
	words        []uint32 // bit c%32 of word c/32
	above        float64  // what is not above it, or not below, is in no set
	below        float64
	rightIfIn    bool
	missingRight bool
	outIsMissing bool // what is not above, or not below, is missing too
}

// right answers for one value.
func (s *set) right(x float64) bool {
	if x != x {
		return s.missingRight
	}
	in := false
	if x > s.above && x < s.below {
		category := uint32(x)
		in = category/32 < uint32(len(s.words)) && s.words[category/32]>>(category%32)&1 == 1
	} else if s.outIsMissing {
		return s.missingRight
	}
	return in == s.rightIfIn
}

// ladder holds the numeric questions about one feature in one layout, by their thresholds. A value that is above k of them goes right at the first k.
type ladder struct {
	feature    int32
	layout     layout
	first      int32     // slot of rank 0, which stands for no question; question k is slot first+1+k
	thresholds []float64 // ascending, each once
	padded     []float64 // the thresholds, and +Inf up to a power of two less one
	nan        int32     // rank of NaN
	zero       int32     // rank of 0 where that is missing, else -1
}

// asked is a categorical question about one feature.
type asked struct {
	set
	feature int32
	slot    int32
}

// questions are all that a forest asks. Each has a slot: a place in the answers of a block.
type questions struct {
	ladders []ladder
	sets    []asked
	slots   int
}

// rung is a feature in a layout: what thresholds are compared with.
type rung struct {
	feature    int32
	layout     layout
	thresholds []float64 // in the order of the splits; once closed, ascending, each once
	first      int       // of its ladders
}

// asking collects the questions of a forest; slots are known when it has seen all of them.
type asking struct {
	questions
	rungs []rung
	of    []int32 // by feature and layout: the rung, counted from 1
}

func newAsking(features int) *asking { return &asking{of: make([]int32, features*int(layouts))} }

// maxRank is the most thresholds of a ladder: a rank is a byte. More of them about one feature stand in several ladders.
const maxRank = 255

func (a *asking) rung(s *split) *int32 { return &a.of[int(s.feature)*int(layouts)+int(s.layout)] }

// see takes note of a numeric split.
func (a *asking) see(s *split) {
	at := a.rung(s)
	if *at == 0 {
		a.rungs = append(a.rungs, rung{feature: s.feature, layout: s.layout})
		*at = int32(len(a.rungs))
	}
	r := &a.rungs[*at-1]
	r.thresholds = append(r.thresholds, s.threshold+0) // not -0
}

// close gives each numeric question its slot.
func (a *asking) close() {
	for _, at := range a.of { // by feature, then layout
		if at == 0 {
			continue
		}
		r := &a.rungs[at-1]
		slices.Sort(r.thresholds)
		r.thresholds = slices.Clone(slices.Compact(r.thresholds))
		r.first = len(a.ladders)
		for part := range slices.Chunk(r.thresholds, maxRank) {
			a.ladders = append(a.ladders, newLadder(r, part, a.slots))
			a.slots += 1 + (len(part)+3)/4*4 // avx512 writes four at a time
		}
	}
}

func newLadder(r *rung, thresholds []float64, slot int) ladder {
	l := ladder{feature: r.feature, layout: r.layout, first: int32(slot), thresholds: thresholds, zero: -1}
	size := 1
	for size-1 < len(thresholds) {
		size *= 2
	}
	l.padded = append(make([]float64, 0, size-1), thresholds...)
	for len(l.padded) < size-1 {
		l.padded = append(l.padded, math.Inf(1))
	}
	switch r.layout {
	case nanRight, zeroRight:
		l.nan = int32(len(thresholds))
	case nanIsZero:
		l.nan = l.rank(0)
	}
	if r.layout == zeroRight || r.layout == zeroLeft {
		l.zero = l.nan
	}
	return l
}

// resolve finds the question of a branch.
func (a *asking) resolve(b *branch) {
	if b.set != nil {
		a.sets = append(a.sets, asked{set: *b.set, feature: b.feature, slot: int32(a.slots)})
		b.slot, b.column, b.number = int32(a.slots), int32(len(a.ladders)+len(a.sets)-1), 0
		a.slots++
		return
	}
	ladder, number := a.find(&b.split)
	b.slot, b.column, b.number = a.ladders[ladder].first+1+int32(number), int32(ladder), int32(number)
}

// find gives the ladder of a numeric split, and its number there.
func (a *asking) find(s *split) (ladder, number int) {
	r := &a.rungs[*a.rung(s)-1]
	at, _ := slices.BinarySearch(r.thresholds, s.threshold+0)
	return r.first + at/maxRank, at % maxRank
}

// place is the rank of a clean value.
func (l *ladder) place(x float64) int32 { return l.exact(x, int(l.rank(x))) }

// rank is the number of thresholds below x.
func (l *ladder) rank(x float64) int32 {
	at := 0
	for half := (len(l.padded) + 1) / 2; half > 0; half /= 2 {
		at += half & -above(x, l.padded[at+half-1])
	}
	return int32(at)
}

// answerRanks asks the numeric questions of the rows of one word, which are clean, n × features. A bit is set in the slot of each row's rank, words to
// a slot: the slots must be clear before, and the ladders be climbed after.
func (q *questions) answerRanks(answers []uint64, words, word int, rows []float64, n, features int) {
	var ranks [wordRows]int32
	for i := range q.ladders {
		l := &q.ladders[i]
		l.ranks(&ranks, rows[l.feature:], n, features)
		slots := answers[int(l.first)*words+word:]
		for r, rank := range ranks[:n] {
			slots[int(rank)*words] |= 1 << r
		}
	}
}

// answerSets asks the categorical questions.
func (q *questions) answerSets(answers []uint64, words, word int, rows []float64, n, features int) {
	for i := range q.sets {
		s := &q.sets[i]
		bits := uint64(0)
		for r := range n {
			if s.right(rows[r*features+int(s.feature)]) {
				bits |= 1 << r
			}
		}
		answers[int(s.slot)*words+word] = bits
	}
}

// ranks gives the rank of each of n values, a row apart.
func (l *ladder) ranks(ranks *[wordRows]int32, values []float64, n, features int) {
	r := 0
	for ; r+8 <= n; r += 8 {
		l.rank8((*[8]int32)(ranks[r:]), values[r*features:], features)
	}
	for ; r < n; r++ {
		ranks[r] = l.place(values[r*features])
	}
}

// rank8 searches for eight values side by side: one alone waits at each step for a load and a compare.
func (l *ladder) rank8(ranks *[8]int32, values []float64, features int) {
	x0, x1, x2, x3 := values[0], values[features], values[2*features], values[3*features]
	x4, x5, x6, x7 := values[4*features], values[5*features], values[6*features], values[7*features]
	var a0, a1, a2, a3, a4, a5, a6, a7 int
	for half := (len(l.padded) + 1) / 2; half > 0; half /= 2 {
		from := l.padded[half-1:]
		a0 += half & -above(x0, from[a0])
		a1 += half & -above(x1, from[a1])
		a2 += half & -above(x2, from[a2])
		a3 += half & -above(x3, from[a3])
		a4 += half & -above(x4, from[a4])
		a5 += half & -above(x5, from[a5])
		a6 += half & -above(x6, from[a6])
		a7 += half & -above(x7, from[a7])
	}
	*ranks = [8]int32{l.exact(x0, a0), l.exact(x1, a1), l.exact(x2, a2), l.exact(x3, a3), l.exact(x4, a4), l.exact(x5, a5), l.exact(x6, a6), l.exact(x7, a7)}
}

// above is 1 if x is above a threshold, else 0: a set flag, not a jump.
func above(x, threshold float64) (one int) {
	if threshold < x {
		one = 1
	}
	return one
}

// exact is the rank of a value that was found to be above so many thresholds as if it were not missing.
func (l *ladder) exact(x float64, found int) int32 {
	if x != x {
		return l.nan
	}
	if x == 0 && l.zero >= 0 {
		return l.zero
	}
	return int32(found)
}

// climb turns the bits at each row's own rank into answers: who is above a threshold is above all lower ones.
func (q *questions) climb(answers []uint64, words int) {
	for i := range q.ladders {
		l := &q.ladders[i]
		all := answers[int(l.first)*words : (int(l.first)+1+len(l.thresholds))*words]
		for at := len(all) - words - 1; at >= words; at-- {
			all[at] |= all[at+words]
		}
	}
}
