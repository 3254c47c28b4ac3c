package forest

import "unsafe"

// The avx512 kernel keeps the values of a tree's leaves byte by byte: byte 0 of each, then byte 1 of each, and so on (sum_amd64.s).

// tableLeaves is how many leaves the tables of a tree have room for.
func (t *sliced) tableLeaves() int {
	if t.slots <= 64 {
		return 64
	}
	return maxLeaves
}

func (g *grove[T]) makeTables() {
	size := int(unsafe.Sizeof(T(0)))
	total := 0
	for i := range g.trees {
		if t := &g.trees[i]; !t.odd {
			t.tables = total
			total += size * t.tableLeaves()
		}
	}
	g.tables = make([]byte, total)
	for i := range g.trees {
		t := &g.trees[i]
		if t.odd {
			continue
		}
		for leaf, value := range g.values[t.table : t.table+t.leaves] {
			bytes := unsafe.Slice((*byte)(unsafe.Pointer(&value)), size) // little-endian, as all machines of this kernel are
			for i, b := range bytes {
				g.tables[t.tables+i*t.tableLeaves()+leaf] = b
			}
		}
	}
}

// sumVector adds the values of a run's leaves to the sums of the rows of one word.
func (g *grove[T]) sumVector(b *block[T], run []sliced, word int, sums *[wordRows]T) {
	bits, tables, to := &b.bits[0], &g.tables[run[0].tables], unsafe.Pointer(sums)
	wide := unsafe.Sizeof(sums[0]) == 8
	switch small := run[0].slots <= 64; {
	case small && wide:
		sumRun64(bits, len(run), tables, to, word)
	case small:
		sumRun64f(bits, len(run), tables, to, word)
	case wide:
		sumRun256(bits, len(run), tables, to, word)
	default:
		sumRun256f(bits, len(run), tables, to, word)
	}
}

// place is where the sum of a row and output stands in a block. In avx512's sums of a word, rows stand as they come out of its registers.
func (g *grove[T]) place(output, row int) int {
	word, r := row/wordRows, row%wordRows
	if g.kernel == avx512 {
		lane, within := r/16, r%16
		if unsafe.Sizeof(T(0)) == 8 {
			r = within/2*8 + lane*2 + r%2
		} else {
			r = within/4*16 + lane*4 + r%4
		}
	}
	return (output*g.kernel.words()+word)*wordRows + r
}
