package scorer

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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
	if out, _ := predict(t, sum{width: 64}, true, "p,q\n0.1,0\n"); out != "0.1\n" {
		t.Errorf("by position: %q", out)
	}
}

func TestAScoreIsAsLongAsItsNumberType(t *testing.T) {
	for width, want := range map[int]string{32: "0.1\n", 64: "0.10000000149011612\n"} {
		if out, _ := predict(t, sum{width: width}, true, "a,b\n0.10000000149011612,0\n"); out != want {
			t.Errorf("%d bits: %q, want %q", width, out, want)
		}
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
	for _, name := range append(lightGBMFixtures(t), "xgb_nan", "xgb_softmax", "xgb34_dart", "xgb_cat_partition", "xgb_names") {
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
			table := header(t, m) + string(fixture(t, name, "rows.csv"))
			for _, raw := range []bool{true, false} {
				want := fixture(t, name, map[bool]string{true: "raw.csv", false: "prob.csv"}[raw])
				got, unused := predict(t, m, raw, table)
				if diff := cmp.Diff(numbers(t, string(want), meta.Width), numbers(t, got, meta.Width)); diff != "" || unused != nil {
					t.Errorf("%s/%s raw=%v, unused %q: %.500s", name, file, raw, unused, diff)
				}
			}
		}
	}
}

// header names a model's features as a CSV does, or by number.
func header(t testing.TB, m Model) string {
	t.Helper()
	names := m.FeatureNames()
	for i := len(names); i < m.Features(); i++ {
		names = append(names, strconv.Itoa(i))
	}
	var line strings.Builder
	w := csv.NewWriter(&line)
	if err := w.Write(names); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	return line.String()
}

// TestTheOrderOfColumnsDoesNotMatter mixes the columns of a real model's rows, and puts others between them.
func TestTheOrderOfColumnsDoesNotMatter(t *testing.T) {
	m, err := LoadModel("model.txt", fixture(t, "lgb_binary_nan", "model.txt"), Auto)
	if err != nil {
		t.Fatal(err)
	}
	rows := header(t, m) + string(fixture(t, "lgb_binary_nan", "rows.csv"))
	table, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := predict(t, m, true, rows)
	width := m.Features()
	all := make([]int, width+2) // the last two are not the model's
	for i := range all {
		all[i] = i
	}
	rapid.Check(t, func(r *rapid.T) {
		columns := rapid.Permutation(all).Draw(r, "columns")
		var mixed strings.Builder
		w := csv.NewWriter(&mixed)
		for i, row := range table {
			row = append(slices.Clone(row), "not a number", "")
			if i == 0 {
				row[width], row[width+1] = "note", "id"
			}
			var out []string
			for _, column := range columns {
				out = append(out, row[column])
			}
			if err := w.Write(out); err != nil {
				r.Fatal(err)
			}
		}
		w.Flush()
		got, unused := predict(t, m, true, mixed.String())
		if got != want || !cmp.Equal(unused, []string{"id", "note"}) {
			r.Fatalf("unused %q, other scores: %v", unused, got != want)
		}
	})
}

// TestAFaultInALaterBlockIsNamedByItsLine: rows are scored in blocks, their lines count on.
func TestAFaultInALaterBlockIsNamedByItsLine(t *testing.T) {
	table := "a,b\n" + strings.Repeat("1,2\n", 2*tableRows) + "1,\"2\n3\"\n"
	_, err := PredictTable(sum{names: []string{"a", "b"}, width: 64}, strings.NewReader(table), true, io.Discard)
	if want := fmt.Sprintf("line %d, column \"b\"", 2*tableRows+2); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

func TestATableThatEndsInAnErrorIsNoTable(t *testing.T) {
	broken := errors.New("the disk is gone")
	m := sum{names: []string{"a", "b"}, width: 64}
	if _, err := PredictTable(m, io.MultiReader(strings.NewReader("a,b\n1,2\n"), iotest.ErrReader(broken)), true, io.Discard); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	if _, err := PredictTable(m, strings.NewReader("a,b\n1,2\n"), true, full{broken}); !errors.Is(err, broken) {
		t.Errorf("writing: %v", err)
	}
	if _, err := PredictTable(fake{Model: m, err: broken}, strings.NewReader("a,b\n1,2\n"), true, io.Discard); !errors.Is(err, broken) {
		t.Errorf("scoring: %v", err)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestATableWithoutRowsHasNoScores(t *testing.T) {
	if out, _ := predict(t, sum{names: []string{"a", "b"}, width: 64}, false, "a,b\n"); out != "" {
		t.Errorf("%q", out)
	}
}

// wide is a model of very many features, whose margin is the last of them.
type wide struct{ sum }

func (w wide) Features() int { return 1 << 16 }
func (w wide) Margins(rows, out []float64) error {
	for i := range out {
		out[i] = rows[(i+1)*w.Features()-1]
	}
	return nil
}

func TestAWideModelTakesNoMoreMemoryThanItsTable(t *testing.T) {
	m := wide{sum{width: 64}}
	row := func(last string) string { return strings.Repeat(",", m.Features()-1) + last + "\n" }
	var table, want strings.Builder
	table.WriteString(row("last"))
	for i := range 40 {
		table.WriteString(row(strconv.Itoa(i)))
		fmt.Fprintln(&want, i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, _ := predict(t, m, true, table.String())
	runtime.ReadMemStats(&after)
	if out != want.String() {
		t.Error("other scores")
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("allocates %d MiB for a table of %d MiB", used>>20, table.Len()>>20)
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
