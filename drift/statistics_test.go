package drift

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// vector is a case of testdata/vectors.json: counts, and every statistic from closed forms in 60 digits, which were held against scipy, Evidently and NannyML.
type vector struct {
	Name    string              `json:"name"`
	Kind    string              `json:"kind"`
	Bins    []string            `json:"bins"`
	Ref     []int64             `json:"ref"`
	Cur     []int64             `json:"cur"`
	Adopted map[string]*float64 `json:"adopted"`
	// Critical values of PSI by level, without design effect.
	Critical map[string]*float64 `json:"critical"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

// ordered leaves the bin of missing values out.
func (v vector) ordered() (ref, cur []int64) {
	for i, b := range v.Bins {
		if b != "missing" {
			ref, cur = append(ref, v.Ref[i]), append(cur, v.Cur[i])
		}
	}
	return ref, cur
}

// alone drops an error beside a value, for functions that have no p-value.
func alone(f func(a, b []int64) (float64, error)) func(a, b []int64) (float64, float64, error) {
	return func(a, b []int64) (float64, float64, error) { s, err := f(a, b); return s, math.NaN(), err }
}

func TestStatisticsEqualTheReferenceVectors(t *testing.T) {
	compared := 0
	for _, v := range vectors(t) {
		refOrdered, curOrdered := v.ordered()
		for _, s := range []struct {
			name, pvalue string
			f            func(a, b []int64) (float64, float64, error)
			ordered      bool
		}{
			{"psi", "psi_p", PSI, false}, {"chi2", "chi2_p", ChiSquared, false}, {"js2", "", alone(JensenShannon), false}, {"hellinger", "", alone(Hellinger), false},
			{"tv", "", alone(TotalVariation), false}, {"linf", "", alone(LInfinity), false}, {"ks", "", alone(KolmogorovSmirnov), true}, {"wasserstein_bins", "", alone(Wasserstein), true},
		} {
			if s.ordered && v.Kind != "numeric" {
				continue // undefined for categories, which have no order
			}
			ref, cur := v.Ref, v.Cur
			if s.ordered {
				ref, cur = refOrdered, curOrdered
			}
			got, p, err := s.f(ref, cur)
			want := v.Adopted[s.name]
			if want == nil {
				if !errors.Is(err, ErrNotEnoughData) {
					t.Errorf("%s: %s = %v, %v; want ErrNotEnoughData", v.Name, s.name, got, err)
				}
				continue
			}
			compared++
			if err != nil || !near(got, *want) {
				t.Errorf("%s: %s = %v, %v; want %v (off by %g)", v.Name, s.name, got, err, *want, got-*want)
			}
			if s.pvalue == "" {
				continue
			}
			if wantP := v.Adopted[s.pvalue]; wantP == nil && !math.IsNaN(p) || wantP != nil && !near(p, *wantP) {
				t.Errorf("%s: %s = %v, want %v", v.Name, s.pvalue, p, wantP)
			}
		}
	}
	if compared < 350 {
		t.Errorf("%d statistics compared, the vectors have more", compared)
	}
}

// near is 1e-12 absolute or 1e-9 relative.
func near(got, want float64) bool {
	return math.Abs(got-want) <= 1e-12 || math.Abs(got-want) <= 1e-9*math.Abs(want)
}

func TestCriticalValuesEqualTheReferenceVectors(t *testing.T) {
	compared := 0
	for _, v := range vectors(t) {
		for name, alpha := range map[string]float64{"0.05": 0.05, "0.01": 0.01, "0.01/30": 0.01 / 30} {
			want := v.Critical[name]
			if want == nil {
				continue
			}
			p, err := newPair(v.Ref, v.Cur)
			if err != nil {
				t.Fatal(err)
			}
			compared++
			if got := p.nullScale() * chiSquaredCritical(alpha, float64(p.occupied-1)); !near(got, *want) {
				t.Errorf("%s: critical value at %s is %v, want %v", v.Name, name, got, *want)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d critical values compared", compared)
	}
}

func TestCountsThatAreNoneAreErrors(t *testing.T) {
	for _, c := range []struct{ ref, cur []int64 }{{[]int64{1}, []int64{1, 2}}, {[]int64{-1, 2}, []int64{1, 2}}, {[]int64{1, 2}, []int64{1, -2}}, {[]int64{math.MaxInt64, 1}, []int64{1, 2}}} {
		if _, _, err := PSI(c.ref, c.cur); err == nil || errors.Is(err, ErrNotEnoughData) {
			t.Errorf("PSI(%v, %v) gives %v, want an error that says what is wrong", c.ref, c.cur, err)
		}
	}
	if _, _, err := PSI(nil, nil); !errors.Is(err, ErrNotEnoughData) {
		t.Errorf("no bins: %v", err)
	}
}

func TestStatisticsKeepWhatTheyPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bins := rapid.IntRange(1, 25).Draw(t, "bins")
		counts := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 1<<40)), bins, bins)
		ref, cur := counts.Draw(t, "reference"), counts.Draw(t, "current")
		if sum(ref) == 0 || sum(cur) == 0 {
			t.Skip("empty")
		}
		psi, p, err := PSI(ref, cur)
		if err != nil || psi < 0 || math.IsNaN(psi) || p < 0 || p > 1 {
			t.Fatalf("PSI %v p %v: %v", psi, p, err)
		}
		back, _, _ := PSI(cur, ref)
		if !near(psi, back) {
			t.Fatalf("PSI is not symmetric: %v and %v", psi, back)
		}
		js, _ := JensenShannon(ref, cur)
		h, _ := Hellinger(ref, cur)
		tv, _ := TotalVariation(ref, cur)
		linf, _ := LInfinity(ref, cur)
		ks, _ := KolmogorovSmirnov(ref, cur)
		const slack = 1e-12
		// Known inequalities between the distances.
		if tv > 1+slack || h*h > tv+slack || tv > h*math.Sqrt(2-h*h)+slack || linf > tv+slack || ks > tv+slack || js > 1+slack || js*js > tv+slack {
			t.Fatalf("js %v hellinger %v tv %v linf %v ks %v", js, h, tv, linf, ks)
		}
		same, _, _ := PSI(ref, ref)
		if same != 0 {
			t.Fatalf("PSI of equal counts is %v", same)
		}
	})
}

func sum(counts []int64) (total int64) {
	for _, c := range counts {
		total += c
	}
	return total
}

func TestCorrectionsOfSeveralTests(t *testing.T) {
	none := math.NaN()
	got := Bonferroni([]float64{0.01, none, 0.5})
	if got[0] != 0.02 || !math.IsNaN(got[1]) || got[2] != 1 {
		t.Errorf("Bonferroni: %v", got)
	}
	// Example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "BH").
	got = BenjaminiHochberg([]float64{0.01, 0.04, none, 0.03, 0.005})
	want := []float64{0.02, 0.04, none, 0.04, 0.02}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15 || math.IsNaN(want[i]) != math.IsNaN(got[i]) {
			t.Errorf("Benjamini-Hochberg: %v, want %v", got, want)
		}
	}
}
