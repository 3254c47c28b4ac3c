package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measuredModel is one whose engines took these nanoseconds at every batch. A name with a + is a peer's.
func measuredModel(shape string, ns map[string]float64) modelReport {
	m := modelReport{Shape: shape}
	for _, name := range []string{self, "forest/walk", base, "+fast", "+slow"} {
		if ns[name] == 0 {
			continue
		}
		e := engineReport{Name: strings.TrimPrefix(name, "+"), Peer: name[0] == '+', Times: map[int]spread{}}
		for _, b := range batches {
			e.Times[b] = spread{ns[name] - 1, ns[name], ns[name] + 1}
		}
		m.Engines = append(m.Engines, e)
	}
	return m
}

func TestLastLineIsTheGeometricMeanOverModels(t *testing.T) {
	models := []modelReport{
		measuredModel("100x31", map[string]float64{self: 100, "forest/walk": 1, base: 400, "+fast": 150, "+slow": 900}),
		measuredModel("500x63", map[string]float64{self: 10, base: 90, "+fast": 500, "+slow": 60}), // the best peer is another one
	}
	last := closing(means(models))
	if got, want := last, "geomean_vs_leaves_b256=6.00  geomean_vs_leaves_b1=6.00  geomean_vs_best_peer_b256=3.00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out := summary(&report{Models: models, Means: means(models)})
	if !strings.HasSuffix(out, "\n"+last+"\n") {
		t.Errorf("the line for programs is not the last one of %q", out)
	}
	for _, want := range []string{"b16=6.00", "b64=6.00", "b1000=6.00", "geomean_vs_best_peer_b1=3.00", "ahead in all 30 comparisons"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %q", want, out)
		}
	}
}

func TestMeanThatLacksAModelIsNotGiven(t *testing.T) {
	whole := measuredModel("100x31", map[string]float64{self: 100, base: 400, "+fast": 150})
	alone := measuredModel("500x63", map[string]float64{self: 10, base: 90})
	alone.Engines = append(alone.Engines, engineReport{Name: "fast", Peer: true, Failed: "no compiler"})
	for name, models := range map[string][]modelReport{"no peers": {alone}, "peers in one of two": {whole, alone}} {
		if got := closing(means(models)); !strings.HasSuffix(got, "geomean_vs_best_peer_b256=n/a") || strings.Count(got, "n/a") != 1 {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := strings.Count(closing(means(nil)), "n/a"); got != 3 {
		t.Errorf("of no models %d means are not given, want 3", got)
	}
}

func TestBestPeerIsTheFastestThatIsNotGo(t *testing.T) {
	m := measuredModel("100x31", map[string]float64{self: 100, "forest/walk": 1, base: 2, "+fast": 150, "+slow": 900})
	m.Engines = append(m.Engines, engineReport{Name: "broken", Peer: true, Failed: "why"})
	m.Engines[4].Times[1] = spread{Median: 3} // slow is not slow with one row
	if got := m.bestPeer(256); got != "fast" {
		t.Errorf("at 256 the best peer is %q", got)
	}
	if got := m.bestPeer(1); got != "slow" {
		t.Errorf("at 1 the best peer is %q", got)
	}
	if want := "the fastest peer is slow at 1, fast at 16, fast at 64, fast at 256, fast at 1000\n"; !strings.Contains(m.table(), want) {
		t.Errorf("it is not said in\n%s", m.table())
	}
}

func TestWhereForestIsBehindIsSaid(t *testing.T) {
	m := measuredModel("100x31", map[string]float64{self: 100, "forest/walk": 1, base: 400, "+fast": 150})
	m.Engines[3].Times[64], m.Engines[3].Times[256] = spread{Median: 50}, spread{Median: 100}
	where, times, compared := behind([]modelReport{m})
	if diff := cmp.Diff([]string{"100x31 fast at batch 64 (0.50x), 256 (1.00x)"}, where); diff != "" || times != 2 || compared != 10 {
		t.Errorf("%d of %d comparisons:\n%s", times, compared, diff)
	}
	if out := summary(&report{Models: []modelReport{m}}); !strings.Contains(out, "behind in 2 of 10 comparisons with leaves and peers:\n  100x31 fast at batch 64 (0.50x)") {
		t.Errorf("it is not said in %q", out)
	}
}

func TestMarginsThatDifferAreRefused(t *testing.T) {
	want := []float64{1, -0.5, math.Copysign(0, -1), 3}
	if err := mustEqual("forest/avx2", 64, slices.Clone(want), want); err != nil {
		t.Errorf("equal margins: %v", err)
	}
	for name, got := range map[string][]float64{
		"one bit":        {math.Nextafter(1, 2), -0.5, want[2], 3},
		"the other zero": {1, -0.5, 0, 3},
		"not a number":   {1, math.NaN(), want[2], 3},
		"too few":        want[:3],
		"none":           nil,
	} {
		err := mustEqual("forest/avx2", 64, got, want)
		if err == nil || !strings.Contains(err.Error(), "forest/avx2 at batch 64") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAgreementCountsBitsAndTheLargestDifference(t *testing.T) {
	got, err := agreementOf([]float64{1, 2.5, 3, 3.75}, []float64{1, 2, 3, 4})
	if err != nil || got != (agreement{Equal: 0.5, Largest: 0.5}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got.String() != "50 % equal, off by 0.5" {
		t.Errorf("it reads %q", &got)
	}
	got, err = agreementOf([]float64{math.NaN()}, []float64{1})
	if err != nil || got != (agreement{Largest: math.MaxFloat64}) {
		t.Errorf("a margin that is no number: got %+v, %v", got, err)
	}
}

func TestMedianIsTheMiddleOrTheMeanOfTwo(t *testing.T) {
	for _, c := range []struct {
		ns   []float64
		want spread
	}{{[]float64{7}, spread{7, 7, 7}}, {[]float64{9, 1, 2}, spread{1, 2, 9}}, {[]float64{4, 1, 9, 2}, spread{1, 3, 9}}} {
		if got := spreadOf(c.ns); got != c.want {
			t.Errorf("%v: got %v, want %v", c.ns, got, c.want)
		}
	}
}

func TestTableSaysRatiosKernelsAndWhyAPeerIsMissing(t *testing.T) {
	m := measuredModel("100x31", map[string]float64{self: 100, base: 450})
	m.Engines[0].Agrees = &agreement{Equal: 1}
	m.Engines = append(m.Engines, engineReport{Name: "ydf", Peer: true, Failed: "cannot be installed: no such version"})
	m.Kernels = map[int]string{1: "walk", 16: "walk", 64: "avx2", 256: "avx2", 1000: "avx2"}
	out := m.table()
	for _, want := range []string{"100 (4.50x)", "450 (1.00x)", "bit-equal", "own model", "failed: cannot be installed: no such version",
		"forest chose walk at 1, walk at 16, avx2 at 64, avx2 at 256, avx2 at 1000\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}
