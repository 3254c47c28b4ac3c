package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/scorer"
)

const fixtures = "../../scorer/forest/testdata"

// unpacked reads a file of a fixture, which may be packed.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		return data
	}
	f, err := os.Open(name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return data
}

// sameNumbers says where two tables of numbers differ, read back to the library's number type.
func sameNumbers(t *testing.T, width int, got, want string) {
	t.Helper()
	gotLines, wantLines := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	if len(gotLines) != len(wantLines) {
		t.Errorf("%d lines, want %d", len(gotLines), len(wantLines))
		return
	}
	for i := range wantLines {
		g, w := strings.Split(gotLines[i], ","), strings.Split(wantLines[i], ",")
		same := len(g) == len(w)
		for j := 0; same && j < len(w); j++ {
			a, errA := strconv.ParseFloat(g[j], width)
			b, errB := strconv.ParseFloat(w[j], width)
			same = errA == nil && errB == nil && (a == b || a != a && b != b)
		}
		if !same {
			t.Errorf("line %d is %q, want %q", i+1, gotLines[i], wantLines[i])
			return
		}
	}
}

// tableFor writes the rows of a fixture as a CSV whose header names the model's features.
func tableFor(t *testing.T, dir string, names []string) string {
	t.Helper()
	table := unpacked(t, filepath.Join(dir, "rows.csv"))
	columns := bytes.Count(table[:bytes.IndexByte(table, '\n')], []byte(",")) + 1
	for i := len(names); i < columns; i++ {
		names = append(names, strconv.Itoa(i))
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.Write(names); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	out.Write(table)
	name := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// meta is what a fixture says of itself.
type meta struct {
	Expect string // score, or either: refuse or score exactly
	Width  int
	Files  []string
	Ranges []iterationRange
}

// eachFixture runs a test on every fixture.
func eachFixture(t *testing.T, test func(t *testing.T, dir string, meta meta)) {
	t.Helper()
	metas, err := filepath.Glob(filepath.Join(fixtures, "*", "meta.json"))
	if err != nil || len(metas) < 100 {
		t.Fatalf("%d fixtures, %v", len(metas), err)
	}
	for _, path := range metas {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var meta meta
			if data, err := os.ReadFile(path); err != nil || json.Unmarshal(data, &meta) != nil {
				t.Fatalf("%s: %v", path, err)
			}
			test(t, dir, meta)
		})
	}
}

// modelFile unpacks a model of a fixture.
func modelFile(t *testing.T, dir, file string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(name, unpacked(t, filepath.Join(dir, file)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// comparePredictions makes sure that a command line of model predict prints what a file of the fixture holds.
func comparePredictions(t *testing.T, model, rows string, width int, want string, flags ...string) {
	t.Helper()
	out, _, err := invoke(t, append([]string{"model", "predict", model, "--rows", rows}, flags...)...)
	if err != nil {
		t.Fatalf("%v: %v", flags, err)
	}
	sameNumbers(t, width, out, string(unpacked(t, want)))
}

// TestPredictPrintsWhatTheLibraryPredicted goes the whole way that a user goes, by files: what stands in prob.csv and raw.csv comes out.
func TestPredictPrintsWhatTheLibraryPredicted(t *testing.T) {
	eachFixture(t, func(t *testing.T, dir string, meta meta) {
		for _, file := range meta.Files {
			model := modelFile(t, dir, file)
			m, err := loadModel(model, scorer.Auto)
			if err != nil && meta.Expect == "either" {
				if out, _, err := invoke(t, "model", "predict", model, "--rows", tableFor(t, dir, nil)); err == nil || out != "" {
					t.Errorf("%s does not load, and is scored: %q", file, out)
				}
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			rows := tableFor(t, dir, m.FeatureNames())
			comparePredictions(t, model, rows, meta.Width, filepath.Join(dir, "raw.csv"), "--raw")
			comparePredictions(t, model, rows, meta.Width, filepath.Join(dir, "prob.csv"))
		}
	})
}
