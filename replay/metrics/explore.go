package metrics

import (
	"math"
	"slices"
)

// Cell has what the transactions of one bin of probability would cost under each decision, and how many they are.
type Cell struct {
	Honest int64       `json:"honest"`
	Fraud  int64       `json:"fraud"`
	Costs  [2][3]Money `json:"costs"` // by honest and fraud, of approving, reviewing and declining all of them
}

// Grid has the cells of transactions by bin of their probability; cells of parts add up. The zero value is not ready: NewGrid is.
type Grid struct {
	Cells map[int]*Cell `json:"cells"`
}

// NewGrid has counted none.
func NewGrid() *Grid { return &Grid{Cells: map[int]*Cell{}} }

// Add counts a transaction.
func (g *Grid) Add(p float64, fraud bool, costs [3]Money) {
	bin := BootBin(p)
	c := g.Cells[bin]
	if c == nil {
		c = &Cell{}
		g.Cells[bin] = c
	}
	class := 0
	if fraud {
		class = 1
		c.Fraud++
	} else {
		c.Honest++
	}
	for d, cost := range costs {
		c.Costs[class][d] += cost
	}
}

// Merge adds what another counted.
func (g *Grid) Merge(o *Grid) {
	for bin, theirs := range o.Cells {
		c := g.Cells[bin]
		if c == nil {
			c = &Cell{}
			g.Cells[bin] = c
		}
		c.Honest += theirs.Honest
		c.Fraud += theirs.Fraud
		for class := range c.Costs {
			for d := range c.Costs[class] {
				c.Costs[class][d] += theirs.Costs[class][d]
			}
		}
	}
}

// Explored is what one pair of thresholds comes to.
type Explored struct {
	Review         float64 `json:"review"`
	Decline        float64 `json:"decline"`
	Cost           float64 `json:"cost"` // in the currency of the amounts
	Declined       int64   `json:"declined"`
	Reviewed       int64   `json:"reviewed"`
	ReviewsPerDay  float64 `json:"reviews_per_day"`
	FraudsCaught   float64 `json:"frauds_not_approved"` // share of the frauds
	WithinCapacity bool    `json:"within_capacity"`
}

// stack has sums over the bins from the highest down to each.
type stack struct {
	starts []float64 // lowest probability of the bins, falling; starts[i] is of bin i
	count  []float64 // of the first i bins
	fraud  []float64
	cost   [3][]float64
}

// weigh sums cells up; weights, where they are not nil, say how often the honest and the frauds of a bin count.
func (g *Grid) weigh(weights func(bin int) (honest, fraud float64)) stack {
	bins := make([]int, 0, len(g.Cells))
	for bin := range g.Cells {
		bins = append(bins, bin)
	}
	slices.Sort(bins)
	slices.Reverse(bins)
	s := stack{count: []float64{0}, fraud: []float64{0}, cost: [3][]float64{{0}, {0}, {0}}}
	for i, bin := range bins {
		c := g.Cells[bin]
		h, f := 1.0, 1.0
		if weights != nil {
			honest, fraud := weights(bin)
			h, f = share(honest, c.Honest), share(fraud, c.Fraud)
		}
		s.starts = append(s.starts, BinStart(bin))
		s.count = append(s.count, s.count[i]+h*float64(c.Honest)+f*float64(c.Fraud))
		s.fraud = append(s.fraud, s.fraud[i]+f*float64(c.Fraud))
		for d := range s.cost {
			s.cost[d] = append(s.cost[d], s.cost[d][i]+h*c.Costs[0][d].Float()+f*c.Costs[1][d].Float())
		}
	}
	return s
}

func share(weighted float64, n int64) float64 {
	if n == 0 {
		return 0
	}
	return weighted / float64(n)
}

// threshold that the first n bins reach, and no other. Nothing reaches 1 and more: with no bin, nothing is to be flagged, and a policy may say 1 only.
func (s *stack) threshold(n int) float64 {
	if n == 0 {
		return 1
	}
	return s.starts[n-1]
}

func (s *stack) at(declined, reviewed int, days float64, c *Costs) Explored {
	last := len(s.starts)
	total := s.count[last]
	e := Explored{Review: s.threshold(reviewed), Decline: s.threshold(declined),
		Cost:     s.cost[2][declined] + s.cost[1][reviewed] - s.cost[1][declined] + s.cost[0][last] - s.cost[0][reviewed],
		Declined: int64(math.Round(s.count[declined])), Reviewed: int64(math.Round(s.count[reviewed] - s.count[declined]))}
	e.ReviewsPerDay = (s.count[reviewed] - s.count[declined]) / days
	if s.fraud[last] > 0 {
		e.FraudsCaught = s.fraud[reviewed] / s.fraud[last]
	}
	e.WithinCapacity = e.ReviewsPerDay <= c.ReviewsPerDay && s.count[declined] <= c.MaxDeclinedShare*total
	return e
}

// best is the cheapest pair within the capacity, as numbers of bins.
func (s *stack) best(days float64, c *Costs) (declined, reviewed int) {
	cheapest := math.Inf(1)
	total := s.count[len(s.starts)]
	for d := 0; d < len(s.count) && s.count[d] <= c.MaxDeclinedShare*total; d++ {
		for r := d; r < len(s.count) && s.count[r]-s.count[d] <= c.ReviewsPerDay*days; r++ {
			cost := s.cost[2][d] + s.cost[1][r] - s.cost[1][d] - s.cost[0][r]
			if cost < cheapest {
				cheapest, declined, reviewed = cost, d, r
			}
		}
	}
	return declined, reviewed
}

// Suggestion is the policy that would have cost least within the capacity, with the interval in which the thresholds lie when customers are drawn anew.
type Suggestion struct {
	Explored
	ReviewInterval  [2]float64 `json:"review_interval"`
	DeclineInterval [2]float64 `json:"decline_interval"`
	Grid            []Explored `json:"grid"` // of other policies
}

// gridSize is how many thresholds each way the table of policies has.
const gridSize = 6

// Suggest looks at all pairs of thresholds between bins. days is the length of the time, boot the resamples of the same transactions.
func (g *Grid) Suggest(days float64, c *Costs, boot *Boot) *Suggestion {
	if len(g.Cells) == 0 || days <= 0 {
		return nil
	}
	boot.Settle()
	whole := g.weigh(nil)
	d, r := whole.best(days, c)
	found := &Suggestion{Explored: whole.at(d, r, days, c)}
	var reviews, declines []float64
	for i := range Resamples {
		drawn := g.weigh(func(bin int) (float64, float64) {
			rows := boot.Bins[bin]
			if rows == nil {
				return 0, 0
			}
			return float64(rows[0][i]), float64(rows[1][i])
		})
		d, r := drawn.best(days, c)
		reviews, declines = append(reviews, drawn.threshold(r)), append(declines, drawn.threshold(d))
	}
	slices.Sort(reviews)
	slices.Sort(declines)
	found.ReviewInterval = [2]float64{reviews[len(reviews)/40], reviews[len(reviews)-1-len(reviews)/40]}
	found.DeclineInterval = [2]float64{declines[len(declines)/40], declines[len(declines)-1-len(declines)/40]}
	// Policies around it: from a quarter of what is declined and reviewed to four times as much.
	for i := range gridSize {
		for j := range gridSize {
			factor := func(k int) float64 { return math.Pow(2, float64(k)-2) }
			dd := whole.upTo(factor(i) * max(whole.count[d], 1))
			rr := max(dd, whole.upTo(whole.count[dd]+factor(j)*max(whole.count[r]-whole.count[d], 1)))
			found.Grid = append(found.Grid, whole.at(dd, rr, days, c))
		}
	}
	return found
}

// upTo is how many bins have at most so many transactions.
func (s *stack) upTo(n float64) int {
	i, _ := slices.BinarySearch(s.count, n)
	if i < len(s.count) && s.count[i] == n {
		return i
	}
	return max(0, i-1)
}
