package forest

import (
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// edited is the JSON model of a fixture with one field changed.
func edited(t *testing.T, fixture, field, becomes string) []byte {
	t.Helper()
	text := string(read(t, fixture, "model.json"))
	place := regexp.MustCompile(field).FindStringIndex(text)
	if place == nil {
		t.Fatalf("%s has no %s", fixture, field)
	}
	return []byte(text[:place[0]] + becomes + text[place[1]:])
}

func TestWrongVectorLeavesAreRefusedByName(t *testing.T) {
	const old, since31 = "xgb21_vector_leaf", "xgb34_vector_leaf_dart"
	for _, c := range []struct{ fixture, field, becomes, want string }{
		{old, `"size_leaf_vector":"3"`, `"size_leaf_vector":"2"`, "tree 0 has leaves of 2 values, the model has 3 outputs"},
		{old, `"size_leaf_vector":"3"`, `"size_leaf_vector":"1"`, "is NaN"},
		{since31, `"size_leaf_vector":"3"`, `"size_leaf_vector":"1"`, "tree 0"},
		{old, `("size_leaf_vector":"3".*?)"size_leaf_vector":"3"`, `"size_leaf_vector":"3"}},{"tree_param":{"size_leaf_vector":"1"`, "tree 1"},
		{old, `"base_weights":\[[^,]+,`, `"base_weights":[`, "tree 0.base_weights has 38 values, 39 are needed"},
		{old, `"base_weights"`, `"weights"`, "tree 0 has leaves of 3 values, and neither leaf_weights nor base_weights"},
		{old, `"tree_info":\[0,0`, `"tree_info":[0,1`, "tree_info, value 1 is 1, a tree for all outputs has 0"},
		{old, `"iteration_indptr"`, `"iterations"`, "iteration_indptr is missing"},
		{old, `"right_children":\[([^]]*),-1\]`, `"right_children":[2,4,6,8,10,12,-1,-1,-1,-1,-1,-1,0]`, "node 12 has a right child, 0, and no left"},
		{since31, `"leaf_weights":\[[^,]+,`, `"leaf_weights":[`, "no whole number of leaves of 3"},
		{since31, `"leaf_weights":\[[^,]+,`, `"leaf_weights":[Infinity,`, "is a leaf whose value 0 is not finite"},
		{since31, `"leaf_weights":\[[^,]+,`, `"leaf_weights":[-Infinity,`, "is a leaf whose value 0 is not finite"},
		{since31, `"leaf_weights":\[[^]]*\]`, `"leaf_weights":[]`, " of 0"},
		{since31, `"leaf_weights":\[[^]]*\]`, `"leaf_weights":[1,2,3]`, "is leaf 1 of 1"},
		{since31, `"leaf_weights":\[[^]]*\]`, `"leaf_weights":[true]`, "tree 0.leaf_weights"},
		{since31, `"leaf_weights":\[[^]]*\]`, `"leaf_weights":7`, "tree 0.leaf_weights"},
	} {
		if _, err := Load(edited(t, c.fixture, c.field, c.becomes)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s becomes %s: %v does not say %q", c.fixture, c.field, c.becomes, err, c.want)
		}
	}
}

// TestLeavesMayShareAVectorWithoutCost: rows of leaf_weights are not copied for each leaf that names them, or a small file could fill the memory.
func TestLeavesMayShareAVectorWithoutCost(t *testing.T) {
	const outputs, splits = 4000, 4000
	var left, right, nodes strings.Builder
	for i := range 2*splits + 1 { // a chain: node 2i splits into 2i+1, a leaf, and 2i+2
		comma := ","
		if i == 0 {
			comma = ""
		}
		if i%2 == 0 && i < 2*splits {
			left.WriteString(comma + strconv.Itoa(i+1))
			right.WriteString(comma + strconv.Itoa(i+2))
		} else {
			left.WriteString(comma + "-1")
			right.WriteString(comma + "0")
		}
		nodes.WriteString(comma + "0")
	}
	all := nodes.String()
	model := `{"version":[3,2,0],"learner":{"objective":{"name":"reg:squarederror"},"learner_model_param":{"base_score":"0.5","num_class":"0","num_feature":"1","num_target":"4000"},
		"gradient_booster":{"name":"gbtree","model":{"gbtree_model_param":{"num_trees":"1"},"tree_info":[0],"iteration_indptr":[0,1],"trees":[{"tree_param":{"size_leaf_vector":"4000"},
		"left_children":[` + left.String() + `],"right_children":[` + right.String() + `],"split_indices":[` + all + `],"split_conditions":[` + all + `],"default_left":[` + all + `],
		"leaf_weights":[1` + strings.Repeat(",1", outputs-1) + `]}]}}}}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Load([]byte(model))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("a file of %d bytes takes %d MiB", len(model), used>>20)
	}
	out := make([]float64, outputs)
	if err := m.Margins([]float64{math.NaN()}, out); err != nil || out[outputs-1] != 1.5 {
		t.Errorf("%v, %v", out[outputs-1], err)
	}
}

func TestVectorsOfAPartAreThoseOfItsRounds(t *testing.T) {
	m, err := Load(read(t, "xgb34_vector_leaf_dart", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	rows := table(t, "xgb34_vector_leaf_dart", "rows.csv")
	want, got := make([]float64, len(rows)/5*3), make([]float64, len(rows)/5*3)
	if err := m.Range(3, 2).Margins(rows, want); err != nil {
		t.Fatal(err)
	}
	if err := m.Range(1, 5).Range(2, 2).Margins(rows, got); err != nil || differences(want, got) > 0 {
		t.Errorf("a range of a range differs, %v", err)
	}
	if n := m.Range(3, 2).Trees(); n != 2 {
		t.Errorf("%d trees", n)
	}
}
