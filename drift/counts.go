package drift

import "fmt"

// Counts are those of all bins of a profile, side by side, and how many transactions they stand for.
type Counts struct {
	profile      *Profile
	Transactions int64
	bins         []int64 // of feature i: bins[offsets[i]:offsets[i+1]]
	offsets      []int
}

// NewCounts are all 0.
func (p *Profile) NewCounts() *Counts {
	offsets := p.offsets()
	return &Counts{profile: p, offsets: offsets, bins: make([]int64, offsets[len(offsets)-1])}
}

// offsets is where each feature's bins begin, and at the end where they end.
func (p *Profile) offsets() []int {
	offsets := make([]int, len(p.Features)+1)
	for i := range p.Features {
		offsets[i+1] = offsets[i] + p.Features[i].bins()
	}
	return offsets
}

// Of gives the counts of feature i, in the order of Reference.Bins. It is not a copy.
func (c *Counts) Of(i int) []int64 { return c.bins[c.offsets[i]:c.offsets[i+1]] }

// Add adds the counts of another replica, or of another stretch of time, under the same profile.
func (c *Counts) Add(d *Counts) {
	if c.profile != d.profile && len(c.bins) != len(d.bins) {
		panic(fmt.Sprintf("counts of %d bins added to those of %d", len(d.bins), len(c.bins)))
	}
	c.Transactions += d.Transactions
	for i, n := range d.bins {
		c.bins[i] += n
	}
}

// counter finds the bins of scored transactions.
type counter struct {
	binners []binner
	offsets []int
}

func newCounter(p *Profile) counter {
	c := counter{offsets: p.offsets()}
	for i := range p.Features {
		c.binners = append(c.binners, newBinner(&p.Features[i]))
	}
	return c
}

func (c *counter) bins() int { return c.offsets[len(c.offsets)-1] }

// find finds the bins of transactions from (included) to to (not included), at most blockRows: those of column f stand from f·blockRows on.
func (c *counter) find(s *Scored, from, to int, bins []uint8) {
	block := s.Rows[from*s.Width : to*s.Width]
	for f := range s.Width {
		c.binners[f].each(block[f:], s.Width, bins[f*blockRows:(f+1)*blockRows])
	}
	f := s.Width
	c.binners[f].each(s.Probabilities[from:to], 1, bins[f*blockRows:(f+1)*blockRows])
	f++
	c.binners[f].each(s.Decisions[from:to], 1, bins[f*blockRows:(f+1)*blockRows])
}

// add counts one transaction.
func (c *counter) add(s *Scored, i int, to *Counts) {
	to.Transactions++
	for f, x := range s.Rows[i*s.Width : (i+1)*s.Width] {
		to.bins[c.offsets[f]+int(c.binners[f].find(x))]++
	}
	to.bins[c.offsets[s.Width]+int(c.binners[s.Width].find(s.Probabilities[i]))]++
	to.bins[c.offsets[s.Width+1]+int(c.binners[s.Width+1].find(s.Decisions[i]))]++
}

func (c *Counts) reset() {
	c.Transactions = 0
	clear(c.bins)
}
