package forest

import (
	"math"
	"math/bits"
	"unsafe"
)

// The avx512 kernel asks the numeric questions by keys: int32 that order as the values do. A float32 has a key of its own; a float64's key is its
// upper half, so where a value has the key of a threshold, its rank is found again, the long way.

// search is a ladder for searchAll (search_amd64.s).
type search struct {
	heap      *int32 // of keys
	keys      uint32 // offset of the feature's, in bytes
	answers   uint32 // offset of the first question's, in words
	levels    uint32 // of the heap, 4 to 8
	questions uint32
	nan       uint32 // rank of NaN
	zero      int32  // rank of 0 where that is missing, else -1
}

// encoder holds what the avx512 kernel needs to ask questions.
type encoder struct {
	searches []search
	groups   []int32 // of eight features; only those that are asked about
}

// encoding is the encoder's memory of one call.
type encoding struct {
	keys  []int32 // feature by feature, of 64 rows
	ranks []uint8 // ladder by ladder, then set by set, of 64 rows
	ties  []uint64
	tile  [keyRows * 8]float64
}

func newEncoding(features, ladders, sets int) encoding {
	return encoding{keys: make([]int32, (features+7)/8*8*wordRows), ranks: make([]uint8, (ladders+sets+1)*wordRows), ties: make([]uint64, ladders)}
}

// keyRows is how many rows of keys are made at once.
const keyRows = 16

func (q *questions) newEncoder(words int, single bool) (e encoder) {
	for i := range q.ladders {
		l := &q.ladders[i]
		levels := max(4, bits.Len(uint(len(l.thresholds))))
		heap := make([]int32, 1<<levels)
		fill(heap, 1, l.thresholds, single)
		e.searches = append(e.searches, search{
			heap: &heap[0], keys: uint32(l.feature) * wordRows * 4, answers: uint32(int(l.first+1) * words),
			levels: uint32(levels), questions: uint32(len(l.thresholds)), nan: uint32(l.nan), zero: l.zero,
		})
		if group := l.feature / 8; len(e.groups) == 0 || e.groups[len(e.groups)-1] != group {
			e.groups = append(e.groups, group)
		}
	}
	return e
}

// fill makes a heap of thresholds in which the greater are to the left: of place p, the one to its left is 2p, to its right 2p+1.
func fill(heap []int32, place int, thresholds []float64, single bool) {
	if place >= len(heap) {
		return
	}
	below := len(heap)>>bits.Len(uint(place)) - 1 // places to the right
	heap[place] = math.MaxInt32
	if below < len(thresholds) {
		heap[place] = key(thresholds[below], single)
	}
	fill(heap, 2*place+1, thresholds[:min(below, len(thresholds))], single)
	fill(heap, 2*place, thresholds[min(below+1, len(thresholds)):], single)
}

// key orders as the values do. single says that the library sees them as float32.
func key(x float64, single bool) int32 {
	k := int32(math.Float64bits(x) >> 32)
	if single {
		k = int32(math.Float32bits(float32(x)))
	}
	return k ^ k>>31&math.MaxInt32
}

// keyVector makes the keys of n rows, at most 64.
func (g *grove[T]) keyVector(b *block[T], rows []float64, n int) {
	for first := 0; first < n; first += keyRows {
		for _, group := range g.groups {
			feature := int(group) * 8
			mask := uint8(1<<min(8, g.features-feature) - 1)
			from, to, count := &rows[first*g.features+feature], &b.keys[feature*wordRows+first], min(n-first, keyRows)
			if g.single() {
				keys16f(from, count, g.features*8, mask, to)
			} else if keys16(from, count, g.features*8, mask, to) {
				g.cleanKeys(b, rows[first*g.features+feature:], count, mask, to)
			}
		}
	}
}

// single says that the library sees values as float32.
func (g *grove[T]) single() bool { return unsafe.Sizeof(T(0)) == 4 }

// answerVector asks all numeric questions of n rows, those of one word.
func (g *grove[T]) answerVector(b *block[T], rows []float64, word, n int) {
	g.keyVector(b, rows, n)
	searchAll(&g.searches[0], len(g.searches), &b.keys[0], &b.answers[word], &b.ranks[0], &b.ties[0])
	g.untie(b, rows, n, func(ladder int, ranks []uint8) {
		writeOne(&ranks[0], &b.answers[int(g.searches[ladder].answers)+word], len(g.ladders[ladder].thresholds))
	})
}

// rankVector finds the ranks of n rows on all ladders.
func (g *grove[T]) rankVector(b *block[T], rows []float64, n int) {
	g.keyVector(b, rows, n)
	if n <= keyRows {
		searchFew(&g.searches[0], len(g.searches), &b.keys[0], &b.ranks[0], &b.ties[0])
	} else {
		searchAll(&g.searches[0], len(g.searches), &b.keys[0], nil, &b.ranks[0], &b.ties[0])
	}
	g.untie(b, rows, n, func(int, []uint8) {})
}

// untie finds again the ranks that keys do not tell, and calls changed with the ladders where there were any.
func (g *grove[T]) untie(b *block[T], rows []float64, n int, changed func(ladder int, ranks []uint8)) {
	if g.single() {
		return
	}
	here := ^uint64(0) >> (wordRows - n)
	for i, tied := range b.ties {
		if tied &= here; tied == 0 {
			continue
		}
		l := &g.ladders[i]
		ranks := b.ranks[i*wordRows : (i+1)*wordRows]
		for ; tied != 0; tied &= tied - 1 {
			r := bits.TrailingZeros64(tied)
			b.tile[0] = rows[r*g.features+int(l.feature)]
			g.source.clean(b.tile[:1])
			ranks[r] = uint8(l.place(b.tile[0]))
		}
		changed(i, ranks)
	}
}

// cleanKeys makes the keys of rows that have values at the zero's edge or at infinity's.
func (g *grove[T]) cleanKeys(b *block[T], rows []float64, n int, mask uint8, to *int32) {
	width := bits.Len8(mask)
	for r := range n {
		copy(b.tile[r*8:], rows[r*g.features:][:width])
	}
	g.source.clean(b.tile[:])
	for i, x := range b.tile {
		if x != x {
			b.tile[i] = math.NaN()
		}
	}
	keys16(&b.tile[0], n, 8*8, mask, to)
}
