package torture

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryDefectCanBePlanted keeps the defects in step with the source: each must apply and compile. That the rig catches them is for
// `make torture-teeth`, which takes long.
func TestEveryDefectCanBePlanted(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all := Defects()
	if len(all) < 21 {
		t.Errorf("%d defects, the rig is to catch 21 and more", len(all))
	}
	for i, d := range all {
		if slices.ContainsFunc(all[:i], func(o Defect) bool { return o.Name == d.Name }) {
			t.Errorf("%q is there twice", d.Name)
		}
		for _, kind := range d.Kinds {
			if !slices.Contains(Kinds(), kind) {
				t.Errorf("%q: no fault is called %q", d.Name, kind)
			}
		}
		for check := range strings.SplitSeq(d.Check, "|") {
			if !slices.ContainsFunc(classes, func(c class) bool { return slices.Contains(c.checks, check) }) {
				t.Errorf("%q: no check is called %q", d.Name, check)
			}
		}
		if testing.Short() {
			if _, err := d.overlay(source, t.TempDir()); err != nil {
				t.Error(err)
			}
			continue
		}
		overlay, err := d.overlay(source, t.TempDir())
		if err != nil {
			t.Error(err)
			continue
		}
		cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./producer", "./consumer", "./audit") // to link each would take minutes
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("defect %q does not compile: %v\n%s", d.Name, err, out)
		}
	}
}
