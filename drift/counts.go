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

func (c *Counts) reset() {
	c.Transactions = 0
	clear(c.bins)
}
