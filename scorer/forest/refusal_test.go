package forest

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestOneWrongFieldIsRefusedByItsName edits one field of a sound model at a time; testdata/bad has whole files.
func TestOneWrongFieldIsRefusedByItsName(t *testing.T) {
	// Two iterations of three outputs, with sets and linear leaves. A tree_sizes that no longer fits would hide the field.
	s := newSynthetic(rand.New(rand.NewPCG(12, 1)), 4, 3, 2, syntheticKinds{leaves: 6, missing: true, categorical: true})
	s.trees[1].linear = true
	text := regexp.MustCompile(`(?m)^tree_sizes=.*\n`).ReplaceAllString(string(s.text("multiclass num_class:3")), "")
	if _, err := Load([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ field, becomes, want string }{
		{`num_tree_per_iteration=3`, "num_tree_per_iteration=1", "header: num_tree_per_iteration is 1, num_class 3"},
		{`objective=.*`, "objective=binary sigmoid:1", "header: objective binary has one output"},
		{`objective=.*`, "objective=regression", "header: objective regression has one output"},
		{`version=v3`, "version=v1", "header: version"},
		{`version=v3`, "", "header: version is missing"},
		{`Tree=1\n`, "Tree=7\n", "stands where Tree=1 should"},
		{`Tree=0\n`, "Tree=0\nTree=0\n", "num_leaves is missing"},
		{`num_cat=[1-9]`, "num_cat=6", "num_cat is 6, the tree has 5 splits"},
		{`num_cat=[1-9]`, "num_cat=-1", "num_cat is -1"},
		{`cat_boundaries=0`, "cat_boundaries=1", "cat_boundaries begin at 1"},
		{`cat_threshold=\d+`, "cat_threshold=4294967296", "cat_threshold 0 is 4294967296"},
		{`cat_threshold=\d+`, "cat_threshold=-1", "cat_threshold 0 is -1"},
		{`is_linear=1`, "is_linear=2", "is_linear is \"2\""},
		{`leaf_const=\S+`, "leaf_const=inf", "leaf_const 0 is not finite"},
		{`leaf_coeff=\S+`, "leaf_coeff=-inf", "leaf_coeff 0 is not finite"},
		{`num_features=\d`, "num_features=5", "num_features 0 is 5"},
		{`left_child=\S+`, "left_child=1.5", "left_child, value 0"},
		{`split_feature=\d`, "split_feature=4", "split_feature 0 is 4"},
		{`decision_type=\d+`, "decision_type=-1", "decision_type 0 is -1"},
		{`decision_type=\d+`, "decision_type=12", "decision_type 0 is 12"},
		{`leaf_value=\S+ `, "leaf_value=", "leaf_value has 5 values, 6 are needed"},
		{`end of trees`, "end of tree", "cut"},
	} {
		place := regexp.MustCompile(c.field).FindStringIndex(text)
		if place == nil {
			t.Fatalf("the model has no %s", c.field)
		}
		_, err := Load([]byte(text[:place[0]] + c.becomes + text[place[1]:]))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s becomes %q: %v does not say %q", c.field, c.becomes, err, c.want)
		}
	}
}

// TestACategoricalSplitNamesItsSetExactly: half a set more is no set.
func TestACategoricalSplitNamesItsSetExactly(t *testing.T) {
	const model = "tree\nversion=v4\nnum_class=1\nmax_feature_idx=0\nfeature_names=a\n\nTree=0\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=SET\ndecision_type=1\nleft_child=-1\nright_child=-2\nleaf_value=1 2\ncat_boundaries=0 1\ncat_threshold=5\n\nend of trees\n"
	m, err := Load([]byte(strings.Replace(model, "SET", "0", 1)))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 4)
	if err := m.Margins([]float64{0, 1, 2, -0.9}, out); err != nil || differences([]float64{1, 2, 1, 1}, out) > 0 {
		t.Errorf("%v, %v", out, err)
	}
	for _, set := range []string{"0.5", "1", "-1", "1e300", "inf", "-0.5"} {
		if _, err := Load([]byte(strings.Replace(model, "SET", set, 1))); err == nil || !strings.Contains(err.Error(), "names none of the 1 sets") {
			t.Errorf("set %s: %v", set, err)
		}
	}
}
