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
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fixture is a real model with the scores of the library that wrote it; testdata/README.md says where they come from.
type fixture struct {
	name, file string
	model      []byte
	rows       []float64
	meta       meta
}

type meta struct {
	Features int      `json:"features"`
	Outputs  int      `json:"outputs"`
	Trees    int      `json:"trees"`
	Width    int      `json:"width"`
	Files    []string `json:"files"`
	Expect   string   `json:"expect"` // score
	Names    []string `json:"feature_names"`
	Ranges   []struct {
		Start int    `json:"start_iteration"`
		Count int    `json:"num_iteration"`
		Begin int    `json:"begin"` // XGBoost says it so
		End   int    `json:"end"`
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
		if !strings.HasPrefix(name, "lgb") && !strings.HasPrefix(name, "xgb") { // bad, and what failed property tests and fuzzing leave
			continue
		}
		f := fixture{name: name, rows: table(t, name, "rows.csv")}
		if err := json.Unmarshal(read(t, name, "meta.json"), &f.meta); err != nil {
			t.Fatal(err)
		}
		if f.meta.Expect != "score" {
			t.Fatalf("%s is to %q: all that stand here are scored", name, f.meta.Expect)
		}
		for _, f.file = range f.meta.Files {
			f.model = read(t, name, f.file)
			all = append(all, f)
		}
	}
	if len(all) != 84+2*82+2 {
		t.Fatalf("%d models; there are 84 of LightGBM, and of XGBoost 82 in two formats and 2 in JSON only", len(all))
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

// scores reads a table of the library's scores, in its own number type.
func (f *fixture) scores(t *testing.T, name string) []float64 {
	t.Helper()
	all := table(t, f.name, name)
	if f.meta.Width == 32 {
		for i, v := range all {
			all[i] = float64(float32(v))
		}
	}
	return all
}

func (f *fixture) compare(t *testing.T, m *Model, raw, prob string) {
	t.Helper()
	wantRaw, wantProb := f.scores(t, raw), f.scores(t, prob)
	got := make([]float64, len(wantRaw))
	if err := m.Margins(f.rows, got); err != nil {
		t.Fatal(err)
	}
	if n := differences(wantRaw, got); n > 0 {
		t.Errorf("%s: %d of %d margins differ", raw, n, len(got))
	}
	kernelsAgree(t, m, f.rows)
	predictions := got[:len(wantProb)]
	if err := m.Transform(got, predictions); err != nil {
		t.Fatal(err)
	}
	if n := differences(wantProb, predictions); n > 0 {
		t.Errorf("%s: %d of %d predictions differ", prob, n, len(predictions))
	}
}

func TestScoresAreTheLibrarysToTheBit(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name+"/"+f.file, func(t *testing.T) {
			m, err := Load(f.model)
			if err != nil {
				t.Fatal(err)
			}
			if m.Width() != f.meta.Width {
				t.Errorf("width %d, meta.json says %d", m.Width(), f.meta.Width)
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
				start, count := r.Start, r.Count
				if r.End > 0 {
					start, count = r.Begin, r.End-r.Begin
				}
				f.compare(t, m.Range(start, count), r.Raw, r.Prob)
			}
		})
	}
}

// place is where an error of LightGBM's text is: the header, a tree, a byte, or the file as a whole.
var place = regexp.MustCompile(`^(header: |tree \d+ \(byte \d+\): |byte \d+: |the (model )?file is |the model has no tree$|\d+ trees are )`)

func TestMalformedModelsAreRefusedCheaply(t *testing.T) {
	list, err := csv.NewReader(bytes.NewReader(read(t, "bad", "expect.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 135 {
		t.Fatalf("%d files, there are 134 and a header", len(list))
	}
	for _, line := range list[1:] {
		if line[0] == "lgb_json.txt" {
			continue // a sound XGBoost model: only its name is wrong, which package scorer refuses
		}
		t.Run(line[0], func(t *testing.T) {
			data := read(t, "bad", line[0])
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ended := make(chan error, 1)
			go func() {
				_, err := Load(data)
				ended <- err
			}()
			var err error
			select {
			case err = <-ended:
			case <-time.After(time.Minute): // a guard: real files of this size take microseconds
				t.Fatal("Load hangs")
			}
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("loads, although: %s", line[1])
			}
			t.Logf("%s: %v", line[1], err)
			if strings.HasPrefix(line[0], "lgb_") && !place.MatchString(err.Error()) {
				t.Errorf("the error names no place: %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("allocates %d MiB", used>>20)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}
