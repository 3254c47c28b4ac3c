package metrics

import (
	"cmp"
	"slices"
)

// Ranked is one transaction, or one customer, of a day's highest.
type Ranked struct {
	P     float64 `json:"p"`
	Fraud bool    `json:"fraud"`
	Key   uint64  `json:"key"` // breaks ties, so that the same transactions are taken whatever their order
}

func higher(a, b Ranked) int { return cmp.Or(cmp.Compare(b.P, a.P), cmp.Compare(a.Key, b.Key)) }

// Top keeps the K highest of what it is given.
type Top struct {
	K   int      `json:"k"`
	All []Ranked `json:"all"` // in any order, at most 2 K
}

// Add takes one in.
func (t *Top) Add(r Ranked) {
	t.All = append(t.All, r)
	if len(t.All) >= 2*t.K+16 {
		t.cut()
	}
}

// Merge takes in another's.
func (t *Top) Merge(o *Top) {
	t.All = append(t.All, o.All...)
	t.cut()
}

func (t *Top) cut() {
	slices.SortFunc(t.All, higher)
	if len(t.All) > t.K {
		t.All = t.All[:t.K]
	}
}

// Precision is the share of fraud among them; of how many.
func (t *Top) Precision() (share float64, of int) {
	t.cut()
	frauds := 0
	for _, r := range t.All {
		if r.Fraud {
			frauds++
		}
	}
	return ratio(int64(frauds), int64(len(t.All))), len(t.All)
}

// Customers keeps a day's K customers with the highest probabilities, each by its highest; a customer with any fraud of the day is fraud. Source: card precision at k of Dal Pozzolo et al., Credit
// card fraud detection: a realistic modeling and a novel learning strategy, 2018.
type Customers struct {
	K       int                `json:"k"`
	Highest map[uint64]float64 `json:"highest"` // of customers that may be among the K
	Frauds  map[uint64]bool    `json:"frauds"`  // customers with a fraud that day
	floor   float64            // nobody below it is among the K
}

// NewCustomers has seen none.
func NewCustomers(k int) *Customers {
	return &Customers{K: k, Highest: map[uint64]float64{}, Frauds: map[uint64]bool{}}
}

// Add takes a transaction in.
func (c *Customers) Add(customer uint64, p float64, fraud bool) {
	if fraud {
		c.Frauds[customer] = true
	}
	if p < c.floor {
		return
	}
	if known, ok := c.Highest[customer]; ok && known >= p {
		return
	}
	c.Highest[customer] = p
	if len(c.Highest) >= 2*c.K+16 {
		c.cut()
	}
}

// Merge takes in another's of the same day; a customer may be in both.
func (c *Customers) Merge(o *Customers) {
	for customer := range o.Frauds {
		c.Frauds[customer] = true
	}
	for customer, p := range o.Highest {
		if known, ok := c.Highest[customer]; !ok || p > known {
			c.Highest[customer] = p
		}
	}
	c.cut()
}

func (c *Customers) cut() {
	all := c.ranked()
	if len(all) <= c.K {
		return
	}
	c.floor = all[c.K-1].P
	for _, r := range all[c.K:] {
		delete(c.Highest, r.Key)
	}
}

func (c *Customers) ranked() []Ranked {
	all := make([]Ranked, 0, len(c.Highest))
	for customer, p := range c.Highest {
		all = append(all, Ranked{p, c.Frauds[customer], customer})
	}
	slices.SortFunc(all, higher)
	return all
}

// Precision is the share of customers with fraud among the K highest; of how many.
func (c *Customers) Precision() (share float64, of int) {
	all := c.ranked()
	all = all[:min(len(all), c.K)]
	frauds := 0
	for _, r := range all {
		if r.Fraud {
			frauds++
		}
	}
	return ratio(int64(frauds), int64(len(all))), len(all)
}
