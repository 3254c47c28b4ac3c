package scorer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture reads a file of the forest's test data, packed or not.
func fixture(t testing.TB, folder, name string) []byte {
	t.Helper()
	path := filepath.Join("forest", "testdata", folder, name)
	data, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if data, err = os.ReadFile(path + ".gz"); err != nil {
		t.Fatal(err)
	}
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

// sum is a model of two features whose margin is their sum.
type sum struct {
	names []string
	width int
}

func (s sum) Format() string         { return "sum" }
func (s sum) Objective() string      { return "binary" }
func (s sum) Features() int          { return 2 }
func (s sum) FeatureNames() []string { return s.names }
func (s sum) Outputs() int           { return 1 }
func (s sum) Predictions() int       { return 1 }
func (s sum) Trees() int             { return 0 }
func (s sum) Width() int             { return s.width }
func (s sum) Margins(rows, out []float64) error {
	for i := range out {
		out[i] = rows[2*i] + rows[2*i+1]
	}
	return nil
}
func (s sum) Transform(margins, out []float64) error {
	for i, m := range margins {
		out[i] = -m
	}
	return nil
}

func predict(t *testing.T, m Model, raw bool, table string) (string, []string) {
	t.Helper()
	var out strings.Builder
	unused, err := PredictTable(m, strings.NewReader(table), raw, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), unused
}

func TestColumnsAreMatchedByName(t *testing.T) {
	m := sum{names: []string{"a", "b"}, width: 64}
	out, unused := predict(t, m, true, "id,b,a\nx,1,2\ny,0.1,0.2\n")
	if out != "3\n0.30000000000000004\n" || !cmp.Equal(unused, []string{"id"}) {
		t.Errorf("%q, unused %v", out, unused)
	}
	if out, _ := predict(t, m, false, "a,b\n1,2\n"); out != "-3\n" {
		t.Errorf("prediction %q", out)
	}
	if out, _ := predict(t, sum{width: 32}, true, "p,q\n0.1,0\n"); out != "0.1\n" {
		t.Errorf("by position: %q", out)
	}
}

func TestCellsAreReadAsSuch(t *testing.T) {
	table := "a,b\n,1\nnan,1\ninf,1\n-inf,1\n-0.0,-0.0\n 1e3 ,0\n5e-324,0\n"
	out, _ := predict(t, sum{names: []string{"a", "b"}, width: 64}, true, table)
	if out != "nan\nnan\ninf\n-inf\n-0\n1000\n5e-324\n" {
		t.Errorf("%q", out)
	}
}

func TestATableThatDoesNotFitIsRefused(t *testing.T) {
	named := sum{names: []string{"a", "b"}, width: 64}
	for table, want := range map[string]string{
		"":                  "empty",
		"a\n1\n":            `"b"`,
		"a,a,b\n1,2,3\n":    "two columns",
		"a,b\n1,0x1p3\n":    `line 2, column "b"`,
		"a,b\n1,2\n1,1_0\n": `line 3, column "b"`,
		"a,b\n1,1e999\n":    "float64",
		"a,b\n1,two\n":      "not a number",
		"a,b\n1\n":          "wrong number of fields",
	} {
		var out strings.Builder
		if _, err := PredictTable(named, strings.NewReader(table), true, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", table, err, want)
		}
	}
	if _, err := PredictTable(sum{width: 64}, strings.NewReader("a,b,c\n"), true, &strings.Builder{}); err == nil {
		t.Error("three columns for two features without names")
	}
}

func TestManyRowsKeepTheirOrder(t *testing.T) {
	var table, want strings.Builder
	table.WriteString("a,b\n")
	for i := range 3*tableRows + 7 {
		fmt.Fprintf(&table, "%d,0\n", i)
		fmt.Fprintf(&want, "%s\n", strconv.FormatFloat(float64(i), 'g', -1, 64))
	}
	if out, _ := predict(t, sum{names: []string{"a", "b"}, width: 64}, true, table.String()); out != want.String() {
		t.Error("the rows came out otherwise")
	}
}

// TestFixturesThroughATable is the command `model predict` on real models: the library's own numbers, as text.
func TestFixturesThroughATable(t *testing.T) {
	for _, name := range []string{"lgb_binary_nan", "lgb_multiclass", "lgb_cat_many", "lgb_rf", "xgb_nan", "xgb_softmax", "xgb34_dart", "xgb_cat_partition"} {
		var meta struct {
			Files []string `json:"files"`
			Width int      `json:"width"`
		}
		if err := json.Unmarshal(fixture(t, name, "meta.json"), &meta); err != nil {
			t.Fatal(err)
		}
		for _, file := range meta.Files {
			m, err := LoadModel(file, fixture(t, name, file), Auto)
			if err != nil {
				t.Fatal(err)
			}
			header := m.FeatureNames()
			for i := len(header); i < m.Features(); i++ {
				header = append(header, fmt.Sprint("f", i))
			}
			table := strings.Join(header, ",") + "\n" + string(fixture(t, name, "rows.csv"))
			for _, raw := range []bool{true, false} {
				want := fixture(t, name, map[bool]string{true: "raw.csv", false: "prob.csv"}[raw])
				got, _ := predict(t, m, raw, table)
				if diff := cmp.Diff(numbers(t, string(want), meta.Width), numbers(t, got, meta.Width)); diff != "" {
					t.Errorf("%s/%s raw=%v: %.500s", name, file, raw, diff)
				}
			}
		}
	}
}

// numbers are the bits of each number, line by line; all NaN are one.
func numbers(t *testing.T, text string, width int) [][]uint64 {
	t.Helper()
	var all [][]uint64
	for line := range strings.Lines(text) {
		var row []uint64
		for word := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			v, err := strconv.ParseFloat(word, width)
			if err != nil {
				t.Fatal(err)
			}
			if v != v {
				v = math.NaN()
			}
			row = append(row, math.Float64bits(v))
		}
		all = append(all, row)
	}
	return all
}

func FuzzPredictTable(f *testing.F) {
	f.Add("a,b\n1,2\n")
	f.Add("b,a,c\n,nan,inf\n\"1\",2,3\n")
	f.Fuzz(func(t *testing.T, table string) {
		var out strings.Builder
		if _, err := PredictTable(sum{names: []string{"a", "b"}, width: 64}, strings.NewReader(table), true, &out); err != nil {
			return
		}
		for line := range strings.Lines(out.String()) {
			if _, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err != nil {
				t.Fatalf("%q gives the line %q", table, line)
			}
		}
	})
}
