package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// iterationRange is a part of a fixture's iterations that its library scored too.
type iterationRange struct {
	Start int    `json:"start_iteration"`
	Count int    `json:"num_iteration"`
	Begin int    `json:"begin"` // XGBoost says it so
	End   int    `json:"end"`
	Raw   string `json:"raw"`
	Prob  string `json:"prob"`
}

// flag is the range as --iterations takes it.
func (r iterationRange) flag() string {
	if r.End > 0 {
		return fmt.Sprintf("%d:%d", r.Begin, r.End-r.Begin)
	}
	return fmt.Sprintf("%d:%d", r.Start, r.Count)
}

func TestAPartOfTheIterationsIsWhatTheLibraryPredictsOfIt(t *testing.T) {
	var compared atomic.Int64
	t.Run("fixtures", func(t *testing.T) { // ends when all of them have
		eachFixture(t, func(t *testing.T, dir string, meta meta) {
			for _, file := range meta.Files {
				for _, r := range meta.Ranges {
					model := modelFile(t, dir, file)
					m, err := loadModel(model, scorer.Auto)
					if err != nil {
						t.Fatal(err)
					}
					rows := tableFor(t, dir, m.FeatureNames())
					comparePredictions(t, model, rows, meta.Width, filepath.Join(dir, r.Raw), "--raw", "--iterations", r.flag())
					comparePredictions(t, model, rows, meta.Width, filepath.Join(dir, r.Prob), "--iterations", r.flag())
					compared.Add(1)
				}
			}
		})
	})
	if n := compared.Load(); n != 9+2*16 {
		t.Errorf("%d ranges were compared; there are 9 of LightGBM, and 16 of XGBoost in two formats", n)
	}
}

// TestIterationsUpToTheBestAreScoredWhenAsked: by default all are, and whoever may not expect it is told.
func TestIterationsUpToTheBestAreScoredWhenAsked(t *testing.T) {
	dir := filepath.Join(fixtures, "xgb_early_stopped")
	model := modelFile(t, dir, "model.ubj")
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
}

func TestCountThatIsLeftOutOrTooLargeMeansTheRest(t *testing.T) {
	dir := filepath.Join(fixtures, "lgb_early_stopped_all") // which has a range from 3 to the end
	model := modelFile(t, dir, "model.txt")
	m, err := loadModel(model, scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	rows := tableFor(t, dir, m.FeatureNames())
	for _, text := range []string{"3:", "3:0", "3:-7", "3:1000000"} {
		comparePredictions(t, model, rows, 64, filepath.Join(dir, "raw_3_-1.csv"), "--raw", "--iterations", text)
	}
}

func TestIterationsThatCannotBeScoredAreRefused(t *testing.T) {
	dir := filepath.Join(fixtures, "xgb_early_stopped")
	model, rows := modelFile(t, dir, "model.ubj"), tableFor(t, dir, nil)
	linear := modelFile(t, filepath.Join(fixtures, "xgb_gblinear"), "model.json")
	treeless := modelFile(t, filepath.Join(fixtures, "xgb_no_trees"), "model.json")
	sample := filepath.Join("..", "..", "bundles", "sample", "model.txt")
	for _, c := range []struct{ model, engine, text, want string }{
		{model, "auto", "5", "START:COUNT"},
		{model, "auto", "a:b", "START:COUNT"},
		{model, "auto", "-1:2", "START:COUNT"},
		{model, "auto", ":2", "START:COUNT"},
		{model, "auto", "Best", "START:COUNT"},
		{model, "auto", "", "START:COUNT"}, // a variable of a script that is not set
		{model, "auto", "1:x", "count"},
		{model, "auto", "1:2:3", "count"},
		{model, "auto", "11:1", "11 iterations"},
		{linear, "auto", "0:1", "no iterations"},
		{linear, "auto", "3:1", "no iterations"},
		{linear, "auto", "best", "records no best_iteration"},
		{treeless, "auto", "5:", "no iterations"},
		{sample, "auto", "best", "records no best_iteration"},
		{sample, "leaves", "0:1", "all iterations only"},
		{sample, "leaves", "best", "all iterations only"},
	} {
		out, _, err := invoke(t, "model", "predict", c.model, "--rows", rows, "--engine", c.engine, "--iterations", c.text)
		if err == nil || out != "" {
			t.Errorf("--iterations %q --engine %s is scored: %q", c.text, c.engine, out)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "--iterations: ") || !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
			t.Errorf("--iterations %q --engine %s: %v", c.text, c.engine, err)
		}
	}
}
