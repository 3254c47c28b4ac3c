package forest

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// fixture is a real model with the scores of the library that wrote it; testdata/README.md says where they come from.
type fixture struct {
	name  string
	model []byte
	rows  []float64
	meta  meta
}

type meta struct {
	Features int      `json:"features"`
	Outputs  int      `json:"outputs"`
	Trees    int      `json:"trees"`
	Names    []string `json:"feature_names"`
	Ranges   []struct {
		Start int    `json:"start_iteration"`
		Count int    `json:"num_iteration"`
		Raw   string `json:"raw"`
		Prob  string `json:"prob"`
	} `json:"ranges"`
}

func read(t testing.TB, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = os.ReadFile(filepath.Join("testdata", folder, name+".gz"))
		if err == nil {
			data = unzip(t, data)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unzip(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// table reads a CSV without header, row by row.
func table(t testing.TB, folder, name string) (all []float64) {
	t.Helper()
	for _, word := range strings.FieldsFunc(string(read(t, folder, name)), func(r rune) bool { return r == ',' || r == '\n' }) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func fixtures(t testing.TB) (all []fixture) {
	t.Helper()
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		name := folder.Name()
		if !strings.HasPrefix(name, "lgb") {
			continue
		}
		f := fixture{name: name, model: read(t, name, "model.txt"), rows: table(t, name, "rows.csv")}
		if err := json.Unmarshal(read(t, name, "meta.json"), &f.meta); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	if len(all) != 78 {
		t.Fatalf("%d LightGBM fixtures, there are 78", len(all))
	}
	return all
}

// differences counts values whose bits differ; any NaN equals any NaN.
func differences(want, got []float64) (n int) {
	for i := range want {
		if math.Float64bits(want[i]) != math.Float64bits(got[i]) && !(want[i] != want[i] && got[i] != got[i]) {
			n++
		}
	}
	return n
}

func (f *fixture) compare(t *testing.T, m *Model, raw, prob string) {
	t.Helper()
	wantRaw, wantProb := table(t, f.name, raw), table(t, f.name, prob)
	got := make([]float64, len(wantRaw))
	if err := m.Margins(f.rows, got); err != nil {
		t.Fatal(err)
	}
	if n := differences(wantRaw, got); n > 0 {
		t.Errorf("%s: %d of %d margins differ", raw, n, len(got))
	}
	// One row at a time must give the same.
	for i := 0; i < len(got)/m.Outputs(); i++ {
		one := make([]float64, m.Outputs())
		if err := m.Margins(f.rows[i*m.Features():(i+1)*m.Features()], one); err != nil {
			t.Fatal(err)
		}
		if differences(got[i*m.Outputs():(i+1)*m.Outputs()], one) > 0 {
			t.Errorf("%s: row %d alone gives another margin", raw, i)
		}
	}
	if err := m.Transform(got, got); err != nil {
		t.Fatal(err)
	}
	if n := differences(wantProb, got); n > 0 {
		t.Errorf("%s: %d of %d predictions differ", prob, n, len(got))
	}
}

func TestScoresAreLightGBMsToTheBit(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			m, err := Load(f.model)
			if err != nil {
				t.Fatal(err)
			}
			if m.Features() != f.meta.Features || m.Outputs() != f.meta.Outputs || m.Trees() != f.meta.Trees && m.Trees() != f.meta.Trees*m.Outputs() { // old files count iterations
				t.Errorf("%d features, %d outputs, %d trees; meta.json says %+v", m.Features(), m.Outputs(), m.Trees(), f.meta)
			}
			for i, name := range m.FeatureNames() {
				if i < len(f.meta.Names) && name != f.meta.Names[i] {
					t.Errorf("feature %d is %q, meta.json says %q", i, name, f.meta.Names[i])
				}
			}
			f.compare(t, m, "raw.csv", "prob.csv")
			for _, r := range f.meta.Ranges {
				f.compare(t, m.Range(r.Start, r.Count), r.Raw, r.Prob)
			}
		})
	}
}

func TestMalformedModelsAreRefusedCheaply(t *testing.T) {
	list, err := csv.NewReader(bytes.NewReader(read(t, "bad", "expect.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 65 {
		t.Fatalf("%d files, there are 64 and a header", len(list))
	}
	for _, line := range list[1:] {
		t.Run(line[0], func(t *testing.T) {
			data := read(t, "bad", line[0])
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load(data)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("loads, although: %s", line[1])
			}
			t.Logf("%s: %v", line[1], err)
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("allocates %d MiB", used>>20)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}
