package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	Expect string
	Width  int
	Files  []string
	Ranges []struct {
		Start int    `json:"start_iteration"`
		Count int    `json:"num_iteration"`
		Begin int    `json:"begin"` // XGBoost says it so
		End   int    `json:"end"`
		Raw   string `json:"raw"`
		Prob  string `json:"prob"`
	}
}

// TestPredictPrintsWhatTheLibraryPredicted goes the whole way that a user goes, by files: what stands in prob.csv and raw.csv comes out, of all
// iterations and of the parts that the library scored too.
func TestPredictPrintsWhatTheLibraryPredicted(t *testing.T) {
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
			for _, file := range meta.Files {
				model, data := filepath.Join(t.TempDir(), file), unpacked(t, filepath.Join(dir, file))
				if err := os.WriteFile(model, data, 0o600); err != nil {
					t.Fatal(err)
				}
				m, err := scorer.LoadModel(file, data, scorer.Auto)
				if err != nil && meta.Expect == "either" {
					if out, _, err := invoke(t, "model", "predict", model, "--rows", tableFor(t, dir, nil)); err == nil || out != "" {
						t.Errorf("%s does not load, and is scored: %q", file, out)
					}
					continue
				} else if err != nil {
					t.Fatal(err)
				}
				rows := tableFor(t, dir, m.FeatureNames())
				compare := func(want string, flags ...string) {
					out, _, err := invoke(t, append([]string{"model", "predict", model, "--rows", rows}, flags...)...)
					if err != nil {
						t.Fatal(err)
					}
					sameNumbers(t, meta.Width, out, string(unpacked(t, filepath.Join(dir, want))))
				}
				compare("raw.csv", "--raw")
				compare("prob.csv")
				for _, r := range meta.Ranges {
					part := fmt.Sprintf("%d:%d", r.Start, r.Count)
					if r.End > 0 {
						part = fmt.Sprintf("%d:%d", r.Begin, r.End-r.Begin)
					}
					compare(r.Raw, "--raw", "--iterations", part)
					compare(r.Prob, "--iterations", part)
				}
			}
		})
	}
}

// TestIterationsUpToTheBestAreScoredWhenAsked: by default all are, and whoever may not expect it is told.
func TestIterationsUpToTheBestAreScoredWhenAsked(t *testing.T) {
	dir := filepath.Join(fixtures, "xgb_early_stopped")
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, unpacked(t, filepath.Join(dir, "model.ubj")), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := tableFor(t, dir, nil)
	best, stderr, err := invoke(t, "model", "predict", model, "--rows", rows, "--raw", "--iterations", "best")
	if err != nil || stderr != "" {
		t.Fatal(stderr, err)
	}
	sameNumbers(t, 32, best, string(unpacked(t, filepath.Join(dir, "raw_0_6.csv"))))
	if _, stderr, err := invoke(t, "model", "predict", model, "--rows", rows); err != nil || !strings.Contains(stderr, "best_iteration 5") || !strings.Contains(stderr, "--iterations best") {
		t.Errorf("%q, %v", stderr, err)
	}
	if _, stderr, err := invoke(t, "model", "predict", model, "--rows", rows, "--iterations", "0:"); err != nil || stderr != "" {
		t.Errorf("%q, %v", stderr, err)
	}
	for text, want := range map[string]string{"5": "START:COUNT", "a:b": "START:COUNT", "-1:2": "START:COUNT", "1:x": "count", "11:1": "11 iterations", "": ""} {
		_, _, err := invoke(t, "model", "predict", model, "--rows", rows, "--iterations", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "--iterations") || !strings.Contains(err.Error(), want)) {
			t.Errorf("--iterations %q: %v", text, err)
		}
	}
	plain := filepath.Join("..", "..", "bundles", "sample", "model.txt")
	if _, _, err := invoke(t, "model", "predict", plain, "--rows", rows, "--iterations", "best"); err == nil || !strings.Contains(err.Error(), "records no best_iteration") {
		t.Errorf("%v", err)
	}
	if _, _, err := invoke(t, "model", "predict", plain, "--rows", rows, "--engine", "leaves", "--iterations", "0:1"); err == nil || !strings.Contains(err.Error(), "all iterations only") {
		t.Errorf("%v", err)
	}
}

func TestCheckDescribesAModelFile(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model.xgb") // as MLflow names it
	if err := os.WriteFile(model, unpacked(t, filepath.Join(fixtures, "xgb_early_stopped", "model.ubj")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := invoke(t, "model", "check", model)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"XGBoost UBJSON 3.2.0, binary:logistic", "11 in 11 iterations, 303 leaves, at most 32 in a tree; best_iteration 5", "engine    forest, kernel ", "features  14"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	out, _, err = invoke(t, "model", "check", model, "--json")
	var info modelJSON
	if err != nil || json.Unmarshal([]byte(out), &info) != nil || info.Trees != 11 || info.Leaves != 303 || info.LargestTree != 32 || info.BestIteration == nil || *info.BestIteration != 5 ||
		info.Engine != "forest" || !slices.Contains(info.Kernels, info.Kernel) || info.FeatureCount != 14 || info.Outputs != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := invoke(t, "model", "check", "sample", "--engine", "leaves"); err != nil || !strings.Contains(out, "engine    leaves\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.WriteFile(model, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err := invoke(t, "model", "check", model); err == nil || out != "" || !strings.Contains(err.Error(), model) {
		t.Errorf("%v %q", err, out)
	}
}
