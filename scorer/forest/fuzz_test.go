package forest

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// whatLoadsCanBeScored is the promise to keep on any input: Load ends without panic, and what it accepts scores without panic, the same in
// blocks, alone and in ranges.
func whatLoadsCanBeScored(t interface{ Fatal(...any) }, data []byte) {
	m, err := Load(data)
	if err != nil {
		return
	}
	const n = wordRows + 3 // a block and some rows left over
	features, outputs := m.Features(), m.Outputs()
	rows := make([]float64, n*features)
	for i := range rows {
		rows[i] = []float64{0, math.NaN(), math.Inf(1), -1e300, 3, math.MaxInt32 + 1, math.Inf(-1), -0.5}[(i+i/features)%8]
	}
	out, one := make([]float64, n*outputs), make([]float64, outputs)
	for _, part := range []*Model{m, m.Range(1, 2), m.Range(math.MaxInt, math.MaxInt), m.Range(math.MinInt, math.MinInt)} {
		if err := part.Margins(rows, out); err != nil {
			t.Fatal(err)
		}
		for _, name := range part.Kernels() {
			part, err := part.With(name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := part.Margins(rows[i*features:(i+1)*features], one); err != nil {
					t.Fatal(err)
				}
				if differences(out[i*outputs:(i+1)*outputs], one) > 0 {
					t.Fatal("row", i, "alone gives", one, "by", name, "and in a block", out[i*outputs:(i+1)*outputs])
				}
			}
		}
		if err := part.Transform(out, out[:n*m.Predictions()]); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, m := range fixtures(f) {
		if len(m.model) < 20_000 {
			f.Add(m.model)
		}
	}
	bad, err := os.ReadDir("testdata/bad")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range bad {
		if data := read(f, "bad", strings.TrimSuffix(file.Name(), ".gz")); len(data) < 20_000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { whatLoadsCanBeScored(t, data) })
}

// TestADamagedModelIsRefusedOrScores edits real models: bytes changed, cut, doubled, numbers replaced.
func TestADamagedModelIsRefusedOrScores(t *testing.T) {
	all := slices.DeleteFunc(fixtures(t), func(f fixture) bool { return len(f.model) > 60_000 })
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(rapid.SampledFrom(all).Draw(t, "model").model)
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			end := min(len(data), at+rapid.IntRange(0, 30).Draw(t, "length"))
			with := rapid.SampledFrom([]string{"", " ", "\n", "-1", "0", "1", "99", "2147483647", "-2147483648", "1e999", "nan", "inf", "Tree=1", "end of trees\n", "\x00", string(data[at:end]) + string(data[at:end])}).Draw(t, "with")
			data = slices.Concat(data[:at], []byte(with), data[end:])
			if len(data) == 0 {
				return
			}
		}
		whatLoadsCanBeScored(t, data)
	})
}

func TestScoringAllocatesNothing(t *testing.T) {
	for _, f := range fixtures(t) {
		m, err := Load(f.model)
		if err != nil && f.meta.Expect == "either" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		underEveryKernel(t, m, func(kernel string, m *Model) {
			for _, n := range []int{1, 16, 64, 1000} {
				n = min(n, len(f.rows)/m.Features())
				rows, out := f.rows[:n*m.Features()], make([]float64, n*m.Outputs())
				if got := testing.AllocsPerRun(2, func() {
					if m.Margins(rows, out) != nil || m.Transform(out, out[:n*m.Predictions()]) != nil {
						t.Error("shapes")
					}
				}); got > 0 {
					t.Errorf("%s, %s, %d rows: %v allocations", f.name, kernel, n, got)
				}
			}
		})
	}
}

func TestShapesThatDoNotFitAreRefused(t *testing.T) {
	m, err := Load(read(t, "lgb_binary_nan", "model.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Margins(make([]float64, m.Features()+1), make([]float64, 1)) == nil || m.Margins(make([]float64, m.Features()), make([]float64, 2)) == nil ||
		m.Transform(make([]float64, 2), make([]float64, 1)) == nil {
		t.Error("a wrong shape is accepted")
	}
}

func TestOtherFormatsAreRefusedByName(t *testing.T) {
	for data, want := range map[string]string{
		"":                 "empty",
		"{\"learner\":{}}": "JSON",
		"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{": "UBJSON",
		"\x80\x04\x95":     "pickle",
		"binf\x00\x00":     "XGBoost binary",
		"\x1f\x8b\x08\x00": "gzip",
		"hello":            "no model",
	} {
		if _, err := Load([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", data, err, want)
		}
	}
}
