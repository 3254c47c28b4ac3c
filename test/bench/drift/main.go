// Command drift measures how often windows of the simulator's transactions raise an alarm although nothing is wrong: with the laws that the profile measured, and
// with those of independent transactions, which is what is usually taken for granted.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// result is one line: windows of one size, of one stream.
type result struct {
	Size        int            `json:"window"`
	Windows     int            `json:"windows"`
	Alarms      int            `json:"alarms"`      // windows with a significant feature
	Named       int            `json:"named"`       // those with one above 0.02 too, which an alert would name
	Independent int            `json:"independent"` // windows with a significant feature, taken for independent
	Low         float64        `json:"low"`         // 95 % interval of the rate of Alarms
	High        float64        `json:"high"`
	Features    map[string]int `json:"features"` // significant ones, how often
}

func main() {
	streams := flag.Int("streams", 70, "times that the reference's two weeks are lived through again, by the same people with other payments")
	out := flag.String("json", "", "write the figures to this file")
	flag.Parse()
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		log.Fatal(err)
	}
	all := make([]result, len(sizes))
	for i, size := range sizes {
		all[i] = result{Size: size, Features: map[string]int{}}
	}
	for first := range *streams {
		stream(b, uint64(first+1)<<32, all)
	}
	fmt.Printf("%8s %8s %26s %8s %12s\n", "window", "windows", "alarms, 95 % interval", "named", "independent")
	for i := range all {
		r := &all[i]
		r.Low, r.High = interval(r.Alarms, r.Windows)
		fmt.Printf("%8d %8d %6.2f %% (%5.2f … %5.2f) %6.2f %% %10.2f %%   %v\n", r.Size, r.Windows, rate(r.Alarms, r.Windows), 100*r.Low, 100*r.High, rate(r.Named, r.Windows),
			rate(r.Independent, r.Windows), r.Features)
	}
	if *out != "" {
		text, err := json.MarshalIndent(all, "", " ")
		if err == nil {
			err = os.WriteFile(*out, append(text, '\n'), 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func rate(n, of int) float64 { return 100 * float64(n) / float64(of) }

// interval is Clopper and Pearson's, 95 %.
func interval(k, n int) (low, high float64) {
	high = 1
	if k > 0 {
		low = distuv.Beta{Alpha: float64(k), Beta: float64(n-k) + 1}.Quantile(0.025)
	}
	if k < n {
		high = distuv.Beta{Alpha: float64(k) + 1, Beta: float64(n - k)}.Quantile(0.975)
	}
	return low, high
}

// sizes of windows.
var sizes = []int{1000, 3000, 10_000, 30_000}

// stream lives through the reference's weeks, and looks at windows of several sizes, one behind the other. Everything is as it was when the reference was taken but for
// chance: later, customers are older, and with another seed terminals are others, both of which is drift.
func stream(b *scorer.Bundle, first uint64, results []result) {
	cfg := producer.DefaultSimulator(1, first, 0)
	cfg.Start = b.Profile.From
	sim, err := producer.NewSimulator(cfg)
	if err != nil {
		log.Fatal(err)
	}
	independent := *b.Profile
	independent.Features = append([]drift.Reference{}, b.Profile.Features...)
	for i := range independent.Features {
		independent.Features[i].Null = drift.Independent(b.Profile.Observations)
	}
	timelines := make([]*drift.Timeline, len(sizes))
	fresh := func() *drift.Timeline { return drift.NewTimeline(b.Profile, 1000*time.Hour, time.Hour) }
	for i := range sizes {
		timelines[i] = fresh()
	}
	s := b.NewScorer()
	var buffer []byte
	for n := 1; n <= int(b.Profile.Observations); n++ {
		e := sim.Next(buffer)
		buffer = e.Value
		s.Add(e.Value, time.Time{})
		if n%500 != 0 {
			continue
		}
		if _, err := s.Score(); err != nil {
			log.Fatal(err)
		}
		for i, size := range sizes {
			timelines[i].Add(s.Scored())
			if n%size == 0 {
				total, _ := timelines[i].Total()
				results[i].look(b.Profile.Compare(total, drift.DefaultAlpha), independent.Compare(total, drift.DefaultAlpha))
				timelines[i] = fresh()
			}
		}
		s.Reset()
	}
}

func (r *result) look(ours, independent *drift.Comparison) {
	r.Windows++
	alarm, named, naive := false, false, false
	for i := range ours.Results {
		o, n := &ours.Results[i], &independent.Results[i]
		if o.Reference.Untested || math.IsNaN(o.Critical) {
			continue
		}
		if o.PSI > o.Critical {
			alarm = true
			r.Features[o.Feature]++
			named = named || o.PSI > drift.SmallPSI
		}
		naive = naive || n.PSI > n.Critical
	}
	if alarm {
		r.Alarms++
	}
	if named {
		r.Named++
	}
	if naive {
		r.Independent++
	}
}
