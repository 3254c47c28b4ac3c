package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckDescribesAModelFile(t *testing.T) {
	model := modelFile(t, filepath.Join(fixtures, "xgb_early_stopped"), "model.ubj")
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
