package scorer

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// lightGBMFixtures are the folders of the forest's test data that hold a LightGBM model.
func lightGBMFixtures(t testing.TB) (names []string) {
	t.Helper()
	folders, err := os.ReadDir(filepath.Join("forest", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if strings.HasPrefix(folder.Name(), "lgb") {
			names = append(names, folder.Name())
		}
	}
	if len(names) < 80 {
		t.Fatalf("%d models, there are more", len(names))
	}
	return names
}

// unlike counts the numbers whose bits differ; any NaN equals any NaN.
func unlike(want, got []float64) (n int) {
	for i := range want {
		if math.Float64bits(want[i]) != math.Float64bits(got[i]) && !(want[i] != want[i] && got[i] != got[i]) {
			n++
		}
	}
	return n
}

// TestLeavesScoresRightOrRefuses runs every LightGBM fixture: what leaves takes, it must score to the bit.
func TestLeavesScoresRightOrRefuses(t *testing.T) {
	refused := map[string]bool{}
	for _, name := range lightGBMFixtures(t) {
		data := fixture(t, name, "model.txt")
		m, err := LoadModel("model.txt", data, Leaves)
		if err != nil {
			refused[name] = true
			if !strings.Contains(err.Error(), "SCORER_ENGINE=forest") {
				t.Errorf("%s: the refusal does not say what to do: %v", name, err)
			}
			continue
		}
		if !strings.Contains(m.Format(), "leaves") || !strings.Contains(Exactness(m), "bit-equal to LightGBM") {
			t.Errorf("%s: %q, %q do not say who scores and how exactly", name, m.Format(), Exactness(m))
		}
		rows := cells(t, fixture(t, name, "rows.csv"))
		out := make([]float64, len(rows)/m.Features()*m.Outputs())
		if err := m.Margins(rows, out); err != nil {
			t.Fatal(err)
		}
		if n := unlike(cells(t, fixture(t, name, "raw.csv")), out); n > 0 {
			t.Errorf("%s: leaves takes it, and scores %d of %d wrong", name, n, len(out))
		}
		if err := m.Transform(out, out); err != nil {
			t.Fatal(err)
		}
		if n := unlike(cells(t, fixture(t, name, "prob.csv")), out); n > 0 {
			t.Errorf("%s: %d of %d predictions are wrong", name, n, len(out))
		}
	}
	for name := range refused {
		if !regexp.MustCompile(`linear|_rf|no_tree_sizes|chain_300|crlf`).MatchString(name) {
			t.Errorf("%s is refused, although leaves scores it right", name)
		}
	}
	for _, name := range []string{"lgb_linear", "lgb_linear_cat", "lgb_linear_regression", "lgb470_linear", "lgb_rf", "lgb_rf_multiclass", "lgb_rf_regression", "lgb470_rf"} {
		if !refused[name] {
			t.Errorf("%s is taken, although leaves scores it wrongly", name)
		}
	}
}

// small is a model of one tree and two categorical or numeric splits, to be edited.
const small = "tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\nfeature_names=a b\ntree_sizes=SIZE\n\n" +
	"Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=0 0.5\ndecision_type=1 2\nleft_child=1 -1\nright_child=-2 -3\nleaf_value=1 2 3\ncat_boundaries=0 1\ncat_threshold=5\nshrinkage=1\n\nend of trees\n"

const constant = "Tree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=5\n"

// edited replaces a text in small, and says in tree_sizes where the trees are then.
func edited(from, to string) []byte {
	text := strings.Replace(small, from, to, 1)
	var sizes []string
	starts := regexp.MustCompile(`(?m)^(Tree=|end of trees)`).FindAllStringIndex(text, -1)
	for i := 0; text[starts[i][0]] == 'T'; i++ {
		sizes = append(sizes, strconv.Itoa(starts[i+1][0]-starts[i][0]))
	}
	return []byte(strings.Replace(text, "SIZE", strings.Join(sizes, " "), 1))
}

// TestTextThatLeavesReadsOtherwiseIsRefused: each of these loads in the forest engine, and those without an error here score the same in both.
func TestTextThatLeavesReadsOtherwiseIsRefused(t *testing.T) {
	if m, err := LoadModel("", edited("", ""), Leaves); err != nil || m.Trees() != 1 {
		t.Fatalf("the model as it is: %v", err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"leaf values again":           {"shrinkage=1\n", "shrinkage=1\n leaf_value=9 9 9\n", "begins with a space"},
		"links that never end":        {"shrinkage=1\n", "shrinkage=1\n\tleft_child=0 0\n", "begins with a space"},
		"a line of spaces":            {"shrinkage=1\n", "  \nshrinkage=1\n", "begins with a space"},
		"one tree's links in another": {"shrinkage=1\n", "shrinkage=1\nTree=1\nleft_child=0 0\n\nnum_leaves=1\nnum_cat=0\nleaf_value=5\n", "no empty line"},
		"an empty line in a tree":     {"shrinkage=1\n", "\n\n\nshrinkage=1\n", ""},
		"leaf values after the end":   {"shrinkage=1\n\nend of trees\n", "shrinkage=1\nend of trees\nleaf_value=9 9 9\n", ""},
		"an empty set":                {"cat_threshold=5", "cat_threshold=0", "no bits set"},
		"two spaces":                  {"leaf_value=1 2", "leaf_value=1  2", "leaf_value"},
		"an average by a space":       {"objective=regression\n", "objective=regression\naverage_output \n", "random forest"},
		"a size too many":             {"tree_sizes=SIZE", "tree_sizes=SIZE ", ""},
		"sizes set apart by a tab":    {"shrinkage=1\n\n", "\n" + constant + "\n", "it reads 1 trees, the file has 2"},
	} {
		data := edited(c.from, c.to)
		if strings.Contains(name, "a tab") {
			data = regexp.MustCompile(`(tree_sizes=\d+) `).ReplaceAll(data, []byte("${1}\t"))
		}
		shape, err := forest.Load(data)
		if err != nil {
			t.Fatalf("%s: the forest engine refuses it too: %v", name, err)
		}
		m, err := LoadModel("", data, Leaves)
		if err == nil && c.want == "" {
			rows, want, got := []float64{0, 0, 1, 0, 2, 1}, make([]float64, 3), make([]float64, 3)
			if shape.Margins(rows, want) != nil || m.Margins(rows, got) != nil || unlike(want, got) > 0 {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "SCORER_ENGINE=forest") {
			t.Errorf("%s: %v does not say %q and what to do", name, err, c.want)
		}
	}
	if _, err := LoadModel("", fixture(t, "xgb_nan", "model.json"), Leaves); err == nil || !strings.Contains(err.Error(), "XGBoost JSON") || !strings.Contains(err.Error(), "SCORER_ENGINE=forest") {
		t.Errorf("XGBoost JSON: %v", err)
	}
}

// TestCategoriesAreRefusedWhereTheProcessorHidesWhatIsMissing covers processors other than the test's.
func TestCategoriesAreRefusedWhereTheProcessorHidesWhatIsMissing(t *testing.T) {
	data := edited("", "")
	shape, err := forest.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadLeavesLightGBM(data, shape, false); err == nil || !strings.Contains(err.Error(), "processor") {
		t.Errorf("%v", err)
	}
	if !leavesSeesCategories() { // then the categorical fixtures above were refused, and nothing is proven of them
		return
	}
	m, err := loadLeavesLightGBM(data, shape, true)
	if err != nil {
		t.Fatal(err)
	}
	rows := []float64{math.NaN(), 0, math.Inf(1), 0, math.Inf(-1), 0, 1<<32 + 2, 0, 1e300, 0, -0.5, 0, 2.7, 1, 1, 0}
	want, got := make([]float64, 8), make([]float64, 8)
	if err := shape.Margins(rows, want); err != nil {
		t.Fatal(err)
	}
	if err := m.Margins(rows, got); err != nil || unlike(want, got) > 0 {
		t.Errorf("%v, want %v (%v)", got, want, err)
	}
}

// TestADamagedModelIsRefusedOrScoredAsTheForestDoes edits real texts: leaves may refuse what the forest takes, not score it otherwise.
func TestADamagedModelIsRefusedOrScoredAsTheForestDoes(t *testing.T) {
	var all [][]byte
	for _, name := range lightGBMFixtures(t) {
		if data := fixture(t, name, "model.txt"); len(data) < 60_000 {
			// A tree_sizes that no longer fits would hide the damage; leaves only counts it.
			sizes := regexp.MustCompile(`\ntree_sizes=.*`).Find(data)
			if sizes != nil {
				all = append(all, data)
			}
		}
	}
	scored := 0
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(rapid.SampledFrom(all).Draw(t, "model"))
		begin := bytes.Index(data, []byte("Tree=0"))
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			at := rapid.IntRange(0, len(data)-2).Draw(t, "at")
			if rapid.Bool().Draw(t, "in the first tree") {
				at = begin + rapid.IntRange(0, min(2000, len(data)-begin-2)).Draw(t, "from its start")
			}
			data[at] = rapid.SampledFrom([]byte(" \n\t=-0123456789.e")).Draw(t, "byte") // the same length, so that tree_sizes still fits
		}
		shape, err := forest.Load(data)
		if err != nil {
			return
		}
		m, err := LoadModel("", data, Leaves)
		if err != nil {
			return
		}
		scored++
		const n = 12
		rows := make([]float64, n*m.Features())
		for i := range rows {
			rows[i] = rapid.SampledFrom([]float64{0, 1, 2, 3, 5, -1, -0.5, 0.1, 40, math.NaN(), math.Inf(1), math.Inf(-1), 1e-35, -1e-35, 1e300}).Draw(t, "cell")
		}
		want, got := make([]float64, n*m.Outputs()), make([]float64, n*m.Outputs())
		if err := shape.Margins(rows, want); err != nil {
			t.Fatal(err)
		}
		if err := m.Margins(rows, got); err != nil || unlike(want, got) > 0 {
			t.Fatalf("%v, want %v (%v)", got, want, err)
		}
	})
	if scored == 0 && !testing.Short() { // which tries twenty: one run of twenty may see none
		t.Error("no damaged model loads: the edits are too coarse to test what scores")
	}
}

func TestLeavesTakesNoRowsOfAnotherShape(t *testing.T) {
	m, err := LoadModel("", edited("", ""), Leaves)
	if err != nil {
		t.Fatal(err)
	}
	if m.Margins(make([]float64, 3), make([]float64, 1)) == nil || m.Margins(make([]float64, 4), make([]float64, 1)) == nil {
		t.Error("a wrong shape is accepted")
	}
}
