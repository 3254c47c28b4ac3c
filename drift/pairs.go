package drift

import (
	"math"
	"slices"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Decisions are those that a policy makes, from the mildest to the hardest: the order of tables of them.
var Decisions = []schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}

// chanceEdges are the edges of the bins in which two distributions of probabilities are compared: close where fraud scores crowd, a tenth apart above.
var chanceEdges = []float64{0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}

// Pairs counts what two models make of the same transactions; counts of parts add up.
type Pairs struct {
	Decided [3][3]int64 // by the first model's decision and the second's, in the order of Decisions
	Sum     float64     // of the differences of the two probabilities
	Largest float64     // of those
	Chances [2][]int64  // transactions by bin of each model's probability
}

// NewPairs has counted none.
func NewPairs() *Pairs {
	return &Pairs{Chances: [2][]int64{make([]int64, len(chanceEdges)+1), make([]int64, len(chanceEdges)+1)}}
}

// Add counts one transaction: what the models decided, as places in Decisions, and their probabilities.
func (p *Pairs) Add(first, second int, chance, other float64) {
	p.Decided[first][second]++
	distance := math.Abs(chance - other)
	p.Sum += distance
	p.Largest = max(p.Largest, distance)
	p.Chances[0][chanceBin(chance)]++
	p.Chances[1][chanceBin(other)]++
}

func chanceBin(p float64) (bin int) {
	for _, e := range chanceEdges {
		if e <= p {
			bin++
		}
	}
	return bin
}

// Merge adds what another counted.
func (p *Pairs) Merge(o *Pairs) {
	for i := range p.Decided {
		for j := range p.Decided[i] {
			p.Decided[i][j] += o.Decided[i][j]
		}
	}
	p.Sum += o.Sum
	p.Largest = max(p.Largest, o.Largest)
	for side := range p.Chances {
		for bin, n := range o.Chances[side] {
			p.Chances[side][bin] += n
		}
	}
}

// Count is how many transactions were counted.
func (p *Pairs) Count() (n int64) {
	for _, row := range p.Decided {
		for _, one := range row {
			n += one
		}
	}
	return n
}

// Agreement is the share of transactions on which both decide alike; NaN of none.
func (p *Pairs) Agreement() float64 {
	return float64(p.Decided[0][0]+p.Decided[1][1]+p.Decided[2][2]) / float64(p.Count())
}

// PSI is the population stability index of the second model's probabilities against the first's; NaN of none.
func (p *Pairs) PSI() float64 {
	psi, _, err := PSI(p.Chances[0], p.Chances[1])
	if err != nil {
		return math.NaN()
	}
	return psi
}

// Place is where a decision stands in Decisions; -1 for none of them.
func Place(d schemas.Decision) int { return slices.Index(Decisions, d) }
