package forest

// lanes is how many walks go side by side: of one tree over several rows, or of several trees over one row. A walk alone waits at every step for
// a load and a compare; eight of them wait together.
const lanes = 8

// step is a numeric split for walks in lockstep, without branches: the next step is right, or right-1 if x <= threshold. What missing values do
// is in the cell that is read (lightgbm_lockstep.go). A leaf is a step onto itself.
type step struct {
	threshold float64
	cell      int32 // of a laid out row, for lane 0
	right     int32
}

// steps holds the trees whose splits are all numeric, in a form for walks in lockstep.
type steps struct {
	all    []step
	leaves []int32 // by step: the number of its leaf
	roots  []int32 // by tree; -1 for a tree that is walked otherwise
	depths []int32 // by tree: splits on the longest way
}

// at puts a lane's cell beside those of the other lanes: laid out rows stand cell by cell.
func (n *step) at(cells []float64, lane int) int32 {
	var left int32 // a set flag, not a jump
	if cells[int(n.cell)+lane] <= n.threshold {
		left = 1
	}
	return n.right - left
}

// walkRows moves each lane's place, at first the root of one tree, to the leaf of the lane's row.
func (s *steps) walkRows(root int32, cells []float64, depth int32) [lanes]int32 {
	all := s.all
	a0, a1, a2, a3, a4, a5, a6, a7 := root, root, root, root, root, root, root, root
	for range depth {
		a0 = all[a0].at(cells, 0)
		a1 = all[a1].at(cells, 1)
		a2 = all[a2].at(cells, 2)
		a3 = all[a3].at(cells, 3)
		a4 = all[a4].at(cells, 4)
		a5 = all[a5].at(cells, 5)
		a6 = all[a6].at(cells, 6)
		a7 = all[a7].at(cells, 7)
	}
	return [lanes]int32{a0, a1, a2, a3, a4, a5, a6, a7}
}

// walkTrees moves each lane's place, at first the root of a tree of its own, to the leaf of the one row in lane 0.
func (s *steps) walkTrees(roots [lanes]int32, cells []float64, depth int32) [lanes]int32 {
	all := s.all
	a0, a1, a2, a3, a4, a5, a6, a7 := roots[0], roots[1], roots[2], roots[3], roots[4], roots[5], roots[6], roots[7]
	for range depth {
		a0 = all[a0].at(cells, 0)
		a1 = all[a1].at(cells, 0)
		a2 = all[a2].at(cells, 0)
		a3 = all[a3].at(cells, 0)
		a4 = all[a4].at(cells, 0)
		a5 = all[a5].at(cells, 0)
		a6 = all[a6].at(cells, 0)
		a7 = all[a7].at(cells, 0)
	}
	return [lanes]int32{a0, a1, a2, a3, a4, a5, a6, a7}
}
