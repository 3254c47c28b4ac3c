package drift

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAProfileReadsBackAsItWasWritten(t *testing.T) {
	p := small(t)
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("the second writing differs: %v", err)
	}
}

func TestOuterEdgesLeaveEnoughOutside(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for name, draw := range map[string]func() float64{
		"normal": rng.NormFloat64, "heavy": func() float64 { return math.Exp(3 * rng.NormFloat64()) },
		"a third is 0": func() float64 { return max(0, rng.NormFloat64()+0.4) }, "whole": func() float64 { return float64(rng.IntN(40)) },
		"half is the largest": func() float64 { return min(0, rng.NormFloat64()) },
		"nearly one value": func() float64 {
			if rng.IntN(50) > 0 {
				return 7
			}
			return rng.NormFloat64() + 7
		},
	} {
		for _, n := range []int{25, 500, 20_000} {
			s := NewSample([]Column{{Name: "x"}})
			for range n {
				if err := s.Add([]float64{draw()}, 0.5, 0, "", time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			p, err := s.Profile(func(int, int) {})
			if err != nil {
				t.Fatalf("%s, %d: %v", name, n, err)
			}
			r := p.Features[0]
			if r.Edges == nil {
				continue // few values
			}
			below, above := r.Counts[0], r.Counts[len(r.Counts)-2]
			if below < 10 || above < 10 {
				t.Errorf("%s, %d: %d below, %d above; edges %v", name, n, below, above, r.Edges)
			}
		}
	}
}

func TestRareCategoriesAreJoined(t *testing.T) {
	s := NewSample([]Column{{Name: "c", Category: true, Labels: map[float64]string{0: "zero", 1: "one"}}})
	for i := range 20_000 {
		c := float64(i % 3)
		if i%100 == 0 {
			c = float64(3 + i/100%500) // two hundred more of them, one each
		}
		if err := s.Add([]float64{c}, 0.5, 0, "", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := s.Profile(func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Features[0].Bins(), []string{"zero", "one", "2", "other", "missing"}; !cmp.Equal(got, want) {
		t.Errorf("bins %v, want %v", got, want)
	}
	if n := p.Features[0].Counts[3]; n != 200 {
		t.Errorf("%d are other", n)
	}
}

func TestABadProfileIsRefused(t *testing.T) {
	text, err := small(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for _, c := range []struct{ from, to, want string }{
		{`"version": 1`, `"version": 2`, "version is 2"},
		{`"observations": 20000`, `"observations": 20001`, "1 less than the observations"},
		{`"observations": 20000`, `"observations": 0`, "observations is 0"},
		{`"name": "count"`, `"name": "amount"`, `feature "amount" is there twice`},
		{`"name": "count"`, `"name": ""`, "its name must have"},
		{`"values": [`, `"edges": [1], "values": [`, "edges and values"},
		{`"edges": [`, `"edges": [1e308,`, "counts for"},
		{`"design_effect": `, `"design_effect": 0.5e-3, "x": `, `unknown field "x"`},
		{`"tail_ratio": `, `"tail_ratio": 7`, "spread_ratio"},
		{`"version": 1`, `"version": 1, "more": 1`, "unknown field"},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Fatalf("the profile has no %s", c.from)
		}
		if _, err := ParseProfile([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.to, err, c.want)
		}
	}
	if _, err := ParseProfile([]byte(good + "{}")); err == nil {
		t.Error("two documents are read")
	}
}

func FuzzParseProfile(f *testing.F) {
	text, err := small(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"observations":3,"features":[{"name":"x","values":[1],"counts":[1,1,1],"design_effect":1,"reference_variance":1,"spread_ratio":1,"tail_ratio":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile(data)
		if err != nil {
			return
		}
		// What was read can be counted in, compared and shown, whatever it is.
		c := p.NewCounts()
		for i := range p.Features {
			for j := range c.Of(i) {
				c.Of(i)[j] = int64(j) * 1000
			}
			for j := range p.Features[i].Counts {
				_ = p.Features[i].Range(j)
			}
		}
		for _, r := range p.Compare(c, DefaultAlpha).Results {
			if r.Level == "" {
				t.Errorf("%s has no level", r.Feature)
			}
		}
		if _, err := p.Encode(); err != nil {
			t.Error(err)
		}
	})
}

func TestProfilesOfPartsMerge(t *testing.T) {
	p := small(t)
	m, err := p.Merge(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Features {
		for j, n := range m.Features[i].Counts {
			if n != 2*p.Features[i].Counts[j] {
				t.Fatalf("%s: %v of %v", m.Features[i].Name, m.Features[i].Counts, p.Features[i].Counts)
			}
		}
	}
	if err := m.check(); err != nil || m.Observations != 40_000 {
		t.Errorf("%d observations, %v", m.Observations, err)
	}
	other := *p
	other.Features = append([]Reference{}, p.Features...)
	other.Features[0].Edges = append([]float64{}, p.Features[0].Edges...)
	other.Features[0].Edges[0]--
	if _, err := p.Merge(&other); err == nil || !strings.Contains(err.Error(), "other bins") {
		t.Errorf("other edges: %v", err)
	}
}

func TestSmallWindowsSayThatThereIsNotEnoughData(t *testing.T) {
	p := small(t)
	c := p.NewCounts()
	for _, n := range []int64{0, 1, 999} {
		c.Transactions = n
		for i := range p.Features {
			clear(c.Of(i))
			c.Of(i)[0] = n
		}
		for _, r := range p.Compare(c, DefaultAlpha).Results {
			if r.Level != TooFew || r.Why == "" {
				t.Errorf("%d transactions: %s is %q, %q", n, r.Feature, r.Level, r.Why)
			}
			if n == 0 && !math.IsNaN(r.PSI) {
				t.Errorf("no transactions, and PSI is %v", r.PSI)
			}
		}
	}
	if _, _, err := PSI([]int64{1, 2}, []int64{0, 0}); !errors.Is(err, ErrNotEnoughData) {
		t.Errorf("an empty window: %v", err)
	}
}

// The thresholds are tested just below and just above.
func TestLevelsBeginAtTheirThresholds(t *testing.T) {
	r := &Reference{Name: "x", Values: []float64{0, 1}, Counts: []int64{50_000, 50_000, 0, 0}, Null: Independent(100_000)}
	for _, c := range []struct {
		share float64 // of the second value; PSI is 4·(share−½)·atanh(2·share−1)
		want  Level
	}{{0.5, Stable}, {0.5702, Stable}, {0.5709, Small}, {0.6548, Small}, {0.6563, Warn}, {0.7393, Warn}, {0.7399, Severe}} {
		n := int64(100_000)
		k := int64(c.share * float64(n))
		res := r.compare([]int64{n - k, k, 0, 0}, DefaultAlpha)
		if res.Level != c.want {
			t.Errorf("share %v: PSI %.4f is %q, want %q", c.share, res.PSI, res.Level, c.want)
		}
	}
	// Large, but no more than chance in a reference that moves by itself so much.
	r.WindowVariance = 1
	if res := r.compare([]int64{25_000, 75_000, 0, 0}, DefaultAlpha); res.Level != Stable {
		t.Errorf("PSI %v below the critical value %v is %q", res.PSI, res.Critical, res.Level)
	}
	r.WindowVariance, r.Untested = 0, true
	if res := r.compare([]int64{25_000, 75_000, 0, 0}, DefaultAlpha); res.Level != Untested {
		t.Errorf("an untested feature is %q", res.Level)
	}
}
