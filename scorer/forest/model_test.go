package forest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
)

// numLeaves is the line of a LightGBM tree that says how many leaves it has.
var numLeaves = regexp.MustCompile(`(?m)^num_leaves=(\d+)`)

// writtenLeaves are the leaves of each tree, from the counts that the library wrote beside it.
func writtenLeaves(t *testing.T, f *fixture) (leaves []int) {
	t.Helper()
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if f.meta.Width == 64 {
		for _, line := range numLeaves.FindAllSubmatch(f.model, -1) {
			leaves = append(leaves, number(string(line[1])))
		}
		return leaves
	}
	type booster struct {
		Model struct {
			Trees []struct {
				Param struct {
					Nodes   string `json:"num_nodes"`
					Deleted string `json:"num_deleted"` // pruned, and still in the arrays
				} `json:"tree_param"`
			}
		}
	}
	var file struct {
		Learner struct {
			Booster struct {
				booster
				Inner booster `json:"gbtree"` // of dart
			} `json:"gradient_booster"`
		}
	}
	// The same trees stand in both formats. XGBoost writes NaN and Infinity, which JSON has not.
	text := regexp.MustCompile(`\b(NaN|Infinity)\b`).ReplaceAll(read(t, f.name, "model.json"), []byte("0"))
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	for _, tree := range append(file.Learner.Booster.Model.Trees, file.Learner.Booster.Inner.Model.Trees...) {
		leaves = append(leaves, (number(tree.Param.Nodes)-number(tree.Param.Deleted)+1)/2)
	}
	return leaves
}

func TestLeavesAndIterationsAreAsTheLibraryCountsThem(t *testing.T) {
	for _, f := range fixtures(t) {
		m, err := Load(f.model)
		if err != nil && f.meta.Expect == "either" {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		trees := writtenLeaves(t, &f)
		var total, largest int
		for _, n := range trees {
			total, largest = total+n, max(largest, n)
		}
		if gotTotal, gotLargest := m.Leaves(); len(trees) != m.Trees() || gotTotal != total || gotLargest != largest {
			t.Errorf("%s/%s: %d leaves, at most %d, in %d trees; want %d, %d, %d", f.name, f.file, gotTotal, gotLargest, m.Trees(), total, largest, len(trees))
		}
		at := 0 // the trees of the iterations so far
		for i := range m.Iterations() {
			part := m.Range(i, 1)
			var want int
			for _, n := range trees[at : at+part.Trees()] {
				want += n
			}
			if got, _ := part.Leaves(); got != want || part.Iterations() != 1 {
				t.Errorf("%s/%s: iteration %d has %d leaves, want %d, and %d iterations", f.name, f.file, i, got, want, part.Iterations())
			}
			at += part.Trees()
		}
		if at != m.Trees() {
			t.Errorf("%s/%s: %d iterations have %d trees, the model %d", f.name, f.file, m.Iterations(), at, m.Trees())
		}
	}
}

// TestOnlyARoundOfTheModelIsABestIteration: it is an attribute, as anybody may set.
func TestOnlyARoundOfTheModelIsABestIteration(t *testing.T) {
	sound := read(t, "xgb_early_stopped", "model.json") // of 11 rounds
	attributes := regexp.MustCompile(`"attributes":\{[^}]*\}`)
	if len(attributes.FindAll(sound, -1)) != 1 {
		t.Fatal("the model has no attributes to edit")
	}
	for _, c := range []struct {
		attributes string
		best       int // -1: none
	}{
		{`"attributes":{"best_iteration":"5"}`, 5},
		{`"attributes":{"best_iteration":"0"}`, 0},
		{`"attributes":{"best_iteration":"10"}`, 10},
		{`"attributes":{"best_iteration":"11"}`, -1},
		{`"attributes":{"best_iteration":"-1"}`, -1},
		{`"attributes":{"best_iteration":"99999999999999999999"}`, -1},
		{`"attributes":{"best_iteration":"5.0"}`, -1},
		{`"attributes":{"best_iteration":" 5"}`, -1},
		{`"attributes":{"best_iteration":""}`, -1},
		{`"attributes":{"best_iteration":5}`, -1}, // attributes are strings
		{`"attributes":{"best_iteration":["5"]}`, -1},
		{`"attributes":{"best_iteration":null}`, -1},
		{`"attributes":{"best_score":"0.5"}`, -1},
		{`"attributes":{}`, -1},
		{`"attributes":[]`, -1},
		{`"attributes":null`, -1},
		{`"attributes":"best_iteration"`, -1},
		{`"others":{"best_iteration":"5"}`, -1},
	} {
		checkBest(t, c.attributes, attributes.ReplaceAllLiteral(sound, []byte(c.attributes)), c.best)
	}
	ubjson := read(t, "xgb_early_stopped", "model.ubj")
	at := bytes.Index(ubjson, []byte("best_iteration")) + len("best_iteration") + len("SL") + 8 // behind the length
	for digit, best := range map[byte]int{'5': 5, '9': 9, '-': -1, 'x': -1, 0: -1} {
		ubjson[at] = digit
		checkBest(t, strconv.Quote(string(digit))+" in UBJSON", ubjson, best)
	}
}

// checkBest compares the best iteration of a model; -1 is none.
func checkBest(t *testing.T, name string, model []byte, want int) {
	t.Helper()
	m, err := Load(model)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if n, ok := m.BestIteration(); ok != (want >= 0) || ok && n != want {
		t.Errorf("%s: %d, %v; want %d", name, n, ok, want)
	}
	if _, ok := m.Range(1, 0).BestIteration(); ok {
		t.Errorf("%s: a part of the model has a best iteration, which counts from the first of all", name)
	}
}
