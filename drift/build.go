package drift

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// How bins are made.
const (
	quantileBins = 10 // between the outer edges of a quantity
	fewValues    = 20 // up to so many different values, each is a bin
	categoryBins = 18 // beside other and missing
	// MaxSample bounds the transactions that a profile is made of: they are in memory.
	MaxSample = 5_000_000
)

// outside is how many of n reference values lie below and above the outer edges at least: with none there, nothing would be known of how many to expect, and
// with few the law of PSI has a longer tail.
func outside(n int) int { return max(10, n/200) }

// rare is from how many on a value has a bin of its own.
const rare = 10

// Column says what is known of a feature before its values.
type Column struct {
	Name     string
	Category bool
	Labels   map[float64]string // names of a category's codes, where it has them
	Untested bool
}

// Sample collects the transactions that a profile is made of.
type Sample struct {
	columns   []Column
	values    [][]float64 // by column, with the probability and the decision behind the features
	customers []uint32
	numbers   map[string]uint32 // of customers
	times     []int64           // Unix milliseconds; 0 where they are not known
}

// NewSample takes rows with these columns.
func NewSample(features []Column) *Sample {
	columns := append(slices.Clone(features), Column{Name: Probability},
		Column{Name: Decision, Category: true, Labels: map[float64]string{0: "approve", 1: "review", 2: "decline"}})
	return &Sample{columns: columns, values: make([][]float64, len(columns)), numbers: map[string]uint32{}}
}

// Add takes one transaction. customer may be empty where it is not known: then each is one of its own. when may be zero.
func (s *Sample) Add(row []float64, probability, decision float64, customer string, when time.Time) error {
	if len(row) != len(s.columns)-2 {
		return fmt.Errorf("a row has %d values for %d features", len(row), len(s.columns)-2)
	}
	if len(s.customers) == MaxSample {
		return fmt.Errorf("more than %d transactions: take a part of them", MaxSample)
	}
	for i, v := range row {
		s.values[i] = append(s.values[i], v)
	}
	s.values[len(row)] = append(s.values[len(row)], probability)
	s.values[len(row)+1] = append(s.values[len(row)+1], decision)
	number := uint32(len(s.customers))
	if customer != "" {
		if known, ok := s.numbers[customer]; ok {
			number = known
		} else {
			s.numbers[customer] = number
		}
	}
	s.customers = append(s.customers, number)
	at := int64(0)
	if !when.IsZero() {
		at = when.UnixMilli()
	}
	s.times = append(s.times, at)
	return nil
}

// Len is how many transactions there are.
func (s *Sample) Len() int { return len(s.customers) }

// Profile makes the profile. done is called after each column.
func (s *Sample) Profile(done func(column, of int)) (*Profile, error) {
	n := s.Len()
	if n == 0 {
		return nil, errors.New("make a profile: no transaction")
	}
	s.sort()
	p := &Profile{Version: 1, Observations: int64(n)}
	if s.times[0] != 0 {
		p.From, p.To = time.UnixMilli(s.times[0]).UTC(), time.UnixMilli(s.times[n-1]).UTC()
	}
	bins := make([]uint8, n)
	clusters := newClusters(s.customers)
	for i, column := range s.columns {
		r := Reference{Name: column.Name, Untested: column.Untested}
		r.cut(column, s.values[i])
		r.Counts = make([]int64, r.bins())
		b := newBinner(&r)
		for j, v := range s.values[i] {
			bins[j] = b.find(v)
			r.Counts[bins[j]]++
		}
		r.Null = clusters.null(bins, r.Counts)
		p.Features = append(p.Features, r)
		done(i+1, len(s.columns))
	}
	return p, p.check()
}

// sort puts the transactions in the order of their times, as windows see them; those of one time stay as they came.
func (s *Sample) sort() {
	if slices.IsSorted(s.times) {
		return
	}
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.times[a], s.times[b]) })
	s.times, s.customers = permuted(s.times, order), permuted(s.customers, order)
	for i := range s.values {
		s.values[i] = permuted(s.values[i], order)
	}
}

func permuted[T any](values []T, order []int) []T {
	out := make([]T, len(values))
	for i, from := range order {
		out[i] = values[from]
	}
	return out
}

// cut chooses edges or values.
func (r *Reference) cut(column Column, values []float64) {
	counts := map[float64]int{}
	for _, v := range values {
		if v == v {
			if counts[v]++; !column.Category && len(counts) > fewValues {
				break
			}
		}
	}
	if column.Category || len(counts) <= fewValues {
		r.cutValues(column, counts)
		return
	}
	r.cutEdges(values)
}

// cutValues gives the frequent values a bin each; the others share one, which then has a count to expect, or is empty.
func (r *Reference) cutValues(column Column, counts map[float64]int) {
	frequent := slices.Collect(maps.Keys(counts))
	slices.SortFunc(frequent, func(a, b float64) int {
		switch {
		case counts[a] != counts[b]:
			return counts[b] - counts[a]
		}
		return cmp.Compare(a, b)
	})
	most := fewValues
	if column.Category {
		most = categoryBins
	}
	frequent = frequent[:min(len(frequent), most)]
	for len(frequent) > 1 && counts[frequent[len(frequent)-1]] < rare {
		frequent = frequent[:len(frequent)-1]
	}
	slices.Sort(frequent)
	r.Values = append([]float64{}, frequent...)
	if column.Labels != nil {
		r.Labels = []string{}
		for _, v := range r.Values {
			label := column.Labels[v]
			if label == "" {
				label = fmt.Sprintf("%g", v)
			}
			r.Labels = append(r.Labels, label)
		}
	}
}

// cutEdges puts the edges at quantiles, the outer ones so that enough values lie outside.
func (r *Reference) cutEdges(values []float64) {
	sorted := make([]float64, 0, len(values))
	for _, v := range values {
		if v == v {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	n := len(sorted)
	// The values below edge e are those before its first place in sorted, the others are from e on.
	outside := min(outside(n), n)
	above, _ := slices.BinarySearch(sorted, math.Nextafter(sorted[outside-1], math.Inf(1)))
	first, last := sorted[min(above, n-1)], sorted[n-outside]
	var edges []float64
	add := func(e float64) {
		if len(edges) == 0 || e > edges[len(edges)-1] {
			edges = append(edges, e)
		}
	}
	add(first)
	for k := 1; k < quantileBins; k++ {
		if e := sorted[k*n/quantileBins]; e < last {
			add(e)
		}
	}
	add(last)
	r.Edges = edges
}
