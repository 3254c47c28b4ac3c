package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// batches are how many rows are scored at once.
var batches = []int{1, 16, 64, 256, 1000}

// Names of rows of the tables.
const (
	self = "forest" // with the kernel that it chooses by itself; others are forest/KERNEL
	base = "leaves" // what the ratios are to
)

// report is what a run found.
type report struct {
	CPU    string        `json:"cpu"`
	Go     string        `json:"go"`
	Rounds int           `json:"rounds"`
	Rows   int           `json:"rows"` // held out, that were walked through
	Models []modelReport `json:"models"`
	Load   *loadReport   `json:"load,omitempty"`
	// Means over the models, by name.
	Means map[string]float64 `json:"geomeans"`
}

// modelReport is what a run found of one model.
type modelReport struct {
	Shape   string         `json:"shape"`             // trees x leaves
	Bytes   int            `json:"bytes"`             // of the model's text
	Kernels map[int]string `json:"kernels,omitempty"` // that forest chose, by batch
	Engines []engineReport `json:"engines"`
}

// engineReport is what a run found of an engine.
type engineReport struct {
	Name    string         `json:"name"`
	Version string         `json:"version,omitempty"`
	Peer    bool           `json:"peer"` // not Go
	Agrees  *agreement     `json:"agrees,omitempty"`
	Times   map[int]spread `json:"ns_per_row,omitempty"` // by batch
	Failed  string         `json:"failed,omitempty"`     // why there are no times
}

// spread of a measurement over the rounds, in nanoseconds of CPU time for each row.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// spreadOf is the spread of one number or more.
func spreadOf(ns []float64) spread {
	ns = slices.Sorted(slices.Values(ns))
	median := ns[len(ns)/2]
	if len(ns)%2 == 0 {
		median = (ns[len(ns)/2-1] + median) / 2
	}
	return spread{ns[0], median, ns[len(ns)-1]}
}

// agreement of an engine's margins with LightGBM's own.
type agreement struct {
	Equal   float64 `json:"equal"` // share of the rows with the same bits
	Largest float64 `json:"largest_difference"`
}

// agreementOf compares as many margins with LightGBM's.
func agreementOf(got, want []float64) (agreement, error) {
	if len(got) != len(want) || len(want) == 0 {
		return agreement{}, fmt.Errorf("it gave %d margins for %d rows", len(got), len(want))
	}
	var a agreement
	for i := range want {
		if math.Float64bits(got[i]) == math.Float64bits(want[i]) {
			a.Equal++
			continue
		}
		difference := math.Abs(got[i] - want[i])
		if math.IsNaN(difference) {
			difference = math.MaxFloat64 // which JSON can hold
		}
		a.Largest = max(a.Largest, difference)
	}
	a.Equal /= float64(len(want))
	return a, nil
}

func (a *agreement) String() string {
	switch {
	case a == nil:
		return "own model"
	case a.Equal == 1:
		return "bit-equal"
	}
	return fmt.Sprintf("%.4g %% equal, off by %.1g", 100*a.Equal, a.Largest)
}

// mustEqual refuses margins of ours that are not LightGBM's to the bit: a fast wrong answer is worth nothing.
func mustEqual(name string, batch int, got, want []float64) error {
	a, err := agreementOf(got, want)
	if err != nil {
		return fmt.Errorf("%s at batch %d: %w", name, batch, err)
	}
	if a.Equal < 1 {
		differ := math.Round((1 - a.Equal) * float64(len(want)))
		return fmt.Errorf("%s at batch %d: %.0f of %d margins are not LightGBM's, the worst is off by %.2g", name, batch, differ, len(want), a.Largest)
	}
	return nil
}

// ns is an engine's median; false when it has none.
func (m *modelReport) ns(name string, batch int) (float64, bool) {
	for _, e := range m.Engines {
		if s, ok := e.Times[batch]; ok && e.Name == name {
			return s.Median, true
		}
	}
	return 0, false
}

// bestPeer is the name of the peer that is fastest at a batch; "" when none ran.
func (m *modelReport) bestPeer(batch int) (name string) {
	best := math.Inf(1)
	for _, e := range m.Engines {
		if s, ok := e.Times[batch]; ok && e.Peer && s.Median < best {
			name, best = e.Name, s.Median
		}
	}
	return name
}

// geomean is the geometric mean over the models of how many times longer another engine takes than ours; of names it in a model. There is none
// unless that ran in all of them: a mean over fewer models is another number.
func geomean(models []modelReport, batch int, of func(*modelReport) string) (float64, bool) {
	sum := 0.0
	for i := range models {
		other, ok := models[i].ns(of(&models[i]), batch)
		own, mine := models[i].ns(self, batch)
		if !ok || !mine {
			return 0, false
		}
		sum += math.Log(other / own)
	}
	return math.Exp(sum / float64(len(models))), len(models) > 0
}

// means are the geometric means that there are, by name: geomean_vs_leaves_b1, geomean_vs_best_peer_b1, and so on.
func means(models []modelReport) map[string]float64 {
	all := map[string]float64{}
	for _, batch := range batches {
		if mean, ok := geomean(models, batch, func(*modelReport) string { return base }); ok {
			all[fmt.Sprintf("geomean_vs_leaves_b%d", batch)] = mean
		}
		if mean, ok := geomean(models, batch, func(m *modelReport) string { return m.bestPeer(batch) }); ok {
			all[fmt.Sprintf("geomean_vs_best_peer_b%d", batch)] = mean
		}
	}
	return all
}

// line is a line of means, with n/a for what is not there.
func line(means map[string]float64, names ...string) string {
	var parts []string
	for _, name := range names {
		value := "n/a"
		if mean, ok := means[name]; ok {
			value = fmt.Sprintf("%.2f", mean)
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, "  ")
}

// closing is the line that programs read.
func closing(means map[string]float64) string {
	return line(means, "geomean_vs_leaves_b256", "geomean_vs_leaves_b1", "geomean_vs_best_peer_b256")
}

// behind has a line for each model of each engine, leaves or a peer, that is somewhere faster than ours or as fast: so many times of all compared.
func behind(models []modelReport) (where []string, times, compared int) {
	for i := range models {
		m := &models[i]
		for _, e := range m.Engines {
			var at []string
			for _, b := range batches {
				theirs, ok := e.Times[b]
				own, mine := m.ns(self, b)
				if !ok || !mine || !e.Peer && e.Name != base {
					continue
				}
				compared++
				if theirs.Median <= own {
					at = append(at, fmt.Sprintf("%d (%.2fx)", b, theirs.Median/own))
				}
			}
			if at != nil {
				where = append(where, fmt.Sprintf("%s %s at batch %s", m.Shape, e.Name, strings.Join(at, ", ")))
				times += len(at)
			}
		}
	}
	return where, times, compared
}

// table is a model's: nanoseconds for each row, and in brackets how many times less that is than leaves takes.
func (m *modelReport) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, m.Shape)
	for _, batch := range batches {
		fmt.Fprintf(w, "\tbatch %d", batch)
	}
	fmt.Fprintln(w, "\tmargins")
	for _, e := range m.Engines {
		fmt.Fprint(w, strings.TrimSpace(e.Name+" "+e.Version))
		for _, batch := range batches {
			s, ok := e.Times[batch]
			if !ok {
				fmt.Fprint(w, "\t-")
				continue
			}
			fmt.Fprintf(w, "\t%.0f", s.Median)
			if leaves, ok := m.ns(base, batch); ok {
				fmt.Fprintf(w, " (%.2fx)", leaves/s.Median)
			}
		}
		if e.Failed != "" {
			fmt.Fprintf(w, "\tfailed: %s\n", e.Failed)
		} else {
			fmt.Fprintf(w, "\t%s\n", e.Agrees)
		}
	}
	w.Flush()
	b.WriteString(byBatch("forest chose", func(batch int) string { return m.Kernels[batch] }))
	b.WriteString(byBatch("the fastest peer is", m.bestPeer))
	return b.String()
}

// byBatch is a line that names something for each batch; "" when there is nothing.
func byBatch(what string, name func(batch int) string) string {
	var parts []string
	for _, batch := range batches {
		if name := name(batch); name != "" {
			parts = append(parts, fmt.Sprintf("%s at %d", name, batch))
		}
	}
	if parts == nil {
		return ""
	}
	return what + " " + strings.Join(parts, ", ") + "\n"
}

// summary is what stands under the tables; its last line is for programs.
func summary(r *report) string {
	var b strings.Builder
	if r.Load != nil {
		fmt.Fprintln(&b, r.Load)
	}
	if where, times, compared := behind(r.Models); times > 0 {
		fmt.Fprintf(&b, "forest is behind in %d of %d comparisons with leaves and peers:\n  %s\n", times, compared, strings.Join(where, "\n  "))
	} else {
		fmt.Fprintf(&b, "forest is ahead in all %d comparisons with leaves and peers\n", compared)
	}
	for _, batch := range []int{16, 64, 1000} {
		fmt.Fprintln(&b, line(r.Means, fmt.Sprintf("geomean_vs_leaves_b%d", batch), fmt.Sprintf("geomean_vs_best_peer_b%d", batch)))
	}
	fmt.Fprintf(&b, "%s\n%s\n", line(r.Means, "geomean_vs_best_peer_b1"), closing(r.Means))
	return b.String()
}
