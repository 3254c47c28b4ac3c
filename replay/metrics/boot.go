package metrics

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Resamples is how many times customers are drawn anew for an interval.
const Resamples = 200

// Weights are how often a customer counts in each resample: about Poisson distributed with mean 1, and independent for each customer. So drawn, the bootstrap over customers needs no list of them,
// and adds up over partitions (Hanley and MacGibbon, Creating non-parametric bootstrap samples using Poisson frequencies, 2006).
type Weights [Resamples]uint8

// poisson turns a byte into such a count: the distribution's probabilities in 256 parts, with mean 1 and variance 0.992.
var poisson = func() (table [256]uint8) {
	at := 0
	for count, parts := range []int{94, 94, 48, 15, 4, 1} {
		for range parts {
			table[at] = uint8(count)
			at++
		}
	}
	return table
}()

// Draw fills w for the customer with a hash.
func (w *Weights) Draw(customer uint64) {
	state := mix(customer)
	for i := 0; i < Resamples; i += 8 {
		state += golden
		z := mix(state)
		for j := range 8 {
			w[i+j] = poisson[byte(z>>(8*j))]
		}
	}
}

// SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014) is mix of multiples of golden.
const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Bins of probability in which resamples are counted: 32 for each halving, down to 2^-24.
const (
	octaves   = 24
	perOctave = 32
	BootBins  = octaves*perOctave + 2
)

// BootBin is the bin of a probability, higher for a higher one.
func BootBin(p float64) int {
	if p >= 1 {
		return BootBins - 1
	}
	bits := math.Float64bits(p)
	const lowest = (1023 - octaves) << 5
	at := int(bits>>(52-5)) - lowest
	return max(0, at+1)
}

// BinStart is the lowest probability of a bin.
func BinStart(bin int) float64 {
	switch {
	case bin <= 0:
		return 0
	case bin >= BootBins-1:
		return 1
	}
	const lowest = (1023 - octaves) << 5
	return math.Float64frombits(uint64(bin-1+lowest) << (52 - 5))
}

// Row has a count for each resample.
type Row [Resamples]uint32

// pending are counts of a row that are not in it yet: a byte each, eight to a word, so that a customer's weights are added by 25 additions. Weights are 5 at most: before a byte could overflow they are moved.
type pending struct {
	words [Resamples / 8]uint64
	added int
}

const maxPending = 255 / 5

func (p *pending) add(w *Weights, r *Row) {
	for i := range p.words {
		p.words[i] += binary.LittleEndian.Uint64(w[8*i:])
	}
	if p.added++; p.added == maxPending {
		p.move(r)
	}
}

func (p *pending) move(r *Row) {
	for i, word := range p.words {
		for j := range 8 {
			r[8*i+j] += uint32(byte(word >> (8 * j)))
		}
	}
	*p = pending{}
}

func (r *Row) merge(o *Row) {
	for i := range r {
		r[i] += o[i]
	}
}

// Boot counts resamples of scores, and of what was decided. Its memory is fixed.
type Boot struct {
	Bins    map[int]*[2]Row // by bin: honest, fraud
	Decided [3][2]Row       // by decision: honest, fraud; approvals are what the bins have beyond the others
	Cost    [Resamples]Money
	pending map[int]*[2]pending
}

// NewBoot has counted none.
func NewBoot() *Boot { return &Boot{Bins: map[int]*[2]Row{}, pending: map[int]*[2]pending{}} }

// Add counts a transaction of a customer with weights.
func (b *Boot) Add(w *Weights, p float64, fraud bool, decision int, cost Money) {
	class := 0
	if fraud {
		class = 1
	}
	bin := BootBin(p)
	rows := b.Bins[bin]
	if rows == nil {
		rows = &[2]Row{}
		b.Bins[bin], b.pending[bin] = rows, &[2]pending{}
	}
	waiting := b.pending[bin]
	if waiting == nil { // of a Boot that was read
		waiting = &[2]pending{}
		if b.pending == nil {
			b.pending = map[int]*[2]pending{}
		}
		b.pending[bin] = waiting
	}
	waiting[class].add(w, &rows[class])
	if decision > 0 {
		for i := range w {
			b.Decided[decision][class][i] += uint32(w[i])
		}
	}
	if cost != 0 {
		for i := range b.Cost {
			b.Cost[i] += Money(w[i]) * cost
		}
	}
}

// Settle makes the counts whole: before they are read or written.
func (b *Boot) Settle() {
	for bin, waiting := range b.pending {
		for class := range waiting {
			waiting[class].move(&b.Bins[bin][class])
		}
	}
	for class := range b.Decided[0] {
		var all Row
		for _, rows := range b.Bins {
			all.merge(&rows[class])
		}
		for i := range all {
			b.Decided[0][class][i] = all[i] - b.Decided[1][class][i] - b.Decided[2][class][i]
		}
	}
}

// Merge adds what another counted.
func (b *Boot) Merge(o *Boot) {
	b.Settle()
	o.Settle()
	for bin, rows := range o.Bins {
		mine := b.Bins[bin]
		if mine == nil {
			mine = &[2]Row{}
			b.Bins[bin] = mine
		}
		for class := range rows {
			mine[class].merge(&rows[class])
		}
	}
	for d := range b.Decided {
		for class := range b.Decided[d] {
			b.Decided[d][class].merge(&o.Decided[d][class])
		}
	}
	for i := range b.Cost {
		b.Cost[i] += o.Cost[i]
	}
}

// Check refuses bins that there are not.
func (b *Boot) Check() error {
	for bin := range b.Bins {
		if bin < 0 || bin >= BootBins || b.Bins[bin] == nil {
			return fmt.Errorf("resamples have the bin %d", bin)
		}
	}
	return nil
}

// points of one resample, by falling probability.
func (b *Boot) points(resample int) []Point {
	var all []Point
	for _, bin := range b.order() {
		rows := b.Bins[bin]
		all = append(all, Point{P: BinStart(bin), Honest: int64(rows[0][resample]), Fraud: int64(rows[1][resample])})
	}
	return all
}

func (b *Boot) order() []int {
	bins := make([]int, 0, len(b.Bins))
	for bin := range b.Bins {
		bins = append(bins, bin)
	}
	slices.Sort(bins)
	slices.Reverse(bins)
	return bins
}

// Interval is a figure with the interval that holds it with 95 % confidence.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// MarshalJSON writes null for what is no number.
func (i Interval) MarshalJSON() ([]byte, error) {
	text := func(v float64) string {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "null"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Appendf(nil, `{"value":%s,"low":%s,"high":%s}`, text(i.Value), text(i.Low), text(i.High)), nil
}

// around gives the interval of a value. center is the figure as the resamples would have it of the transactions themselves: where they count in bins, it is a little off the value, and they are as much.
func around(value, center float64, drawn []float64) Interval {
	drawn = slices.DeleteFunc(slices.Clone(drawn), math.IsNaN)
	if len(drawn) == 0 || math.IsNaN(value) {
		return Interval{value, math.NaN(), math.NaN()}
	}
	slices.Sort(drawn)
	at := func(q float64) float64 {
		place := q * float64(len(drawn)-1)
		low := int(place)
		high := min(low+1, len(drawn)-1)
		return drawn[low] + (drawn[high]-drawn[low])*(place-float64(low)) + value - center
	}
	return Interval{value, at(0.025), at(0.975)}
}

// Binned is a curve of bins, as the resamples have it.
func Binned(points []Point) []Point {
	counts := map[int]*Point{}
	b := &Boot{Bins: map[int]*[2]Row{}}
	for _, p := range points {
		bin := BootBin(p.P)
		if counts[bin] == nil {
			counts[bin] = &Point{P: BinStart(bin)}
			b.Bins[bin] = &[2]Row{}
		}
		counts[bin].Fraud += p.Fraud
		counts[bin].Honest += p.Honest
	}
	var all []Point
	for _, bin := range b.order() {
		all = append(all, *counts[bin])
	}
	return all
}

// Text is the value with its interval, of so many digits.
func (i Interval) Text(digits int) string {
	if math.IsNaN(i.Value) {
		return "–"
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, i.Value, digits, i.Low, digits, i.High)
}

// Percent is Text of a share.
func (i Interval) Percent() string {
	if math.IsNaN(i.Value) {
		return "–"
	}
	return fmt.Sprintf("%.2f %% (%.2f to %.2f)", 100*i.Value, 100*i.Low, 100*i.High)
}
