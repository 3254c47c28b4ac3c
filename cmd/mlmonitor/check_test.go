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
	if err != nil || json.Unmarshal([]byte(out), &info) != nil || !slices.Contains(info.Kernels, info.Kernel) {
		t.Errorf("%v\n%s", err, out)
	}
	checkFields(t, model, map[string]any{
		"trees": 11.0, "iterations": 11.0, "leaves": 303.0, "largest_tree": 32.0, "best_iteration": 5.0, "engine": "forest", "feature_count": 14.0, "outputs": 1.0,
	})
	if err := os.WriteFile(model, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err := invoke(t, "model", "check", model); err == nil || out != "" || !strings.Contains(err.Error(), model) {
		t.Errorf("%v %q", err, out)
	}
}

// checkFields compares some of what model check prints with --json; nil is a field that must not be there.
func checkFields(t *testing.T, model string, want map[string]any, flags ...string) {
	t.Helper()
	out, _, err := invoke(t, append([]string{"model", "check", model, "--json"}, flags...)...)
	var fields map[string]any
	if err != nil || json.Unmarshal([]byte(out), &fields) != nil {
		t.Fatalf("%s: %v\n%s", model, err, out)
	}
	for name, value := range want {
		if got, there := fields[name]; got != value || there != (value != nil) {
			t.Errorf("%s: %s is %v, want %v", model, name, got, value)
		}
	}
}

func TestCheckSaysTheSameOfABundleAndOfItsModelFile(t *testing.T) {
	for _, name := range []string{"sample", filepath.Join("..", "..", "bundles", "sample", "model.txt")} {
		checkFields(t, name, map[string]any{"trees": 240.0, "iterations": 240.0, "leaves": 7440.0, "largest_tree": 31.0, "best_iteration": nil, "engine": "forest"}, "--engine", "forest")
		checkFields(t, name, map[string]any{"trees": 240.0, "engine": "leaves", "kernel": "", "kernels": nil, "iterations": nil, "leaves": nil}, "--engine", "leaves")
		if out, _, err := invoke(t, "model", "check", name, "--engine", "leaves"); err != nil || !strings.Contains(out, "trees     240\n") || !strings.Contains(out, "engine    leaves\n") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestCheckCountsAModelWithoutTrees(t *testing.T) {
	model := modelFile(t, filepath.Join(fixtures, "xgb_no_trees"), "model.json")
	checkFields(t, model, map[string]any{"trees": 0.0, "iterations": 0.0, "leaves": 0.0, "largest_tree": 0.0, "best_iteration": nil, "engine": "forest"})
	if out, _, err := invoke(t, "model", "check", model); err != nil || !strings.Contains(out, "trees     0 in 0 iterations, 0 leaves") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCheckReadsAnOldBinaryFileWithLeaves(t *testing.T) {
	dir := filepath.Join("..", "..", "scorer", "testdata", "xgb090_binary")
	model := modelFile(t, dir, "model.bin")
	checkFields(t, model, map[string]any{"engine": "leaves", "kernel": "", "outputs": 1.0, "iterations": nil}, "--engine", "leaves")
}
