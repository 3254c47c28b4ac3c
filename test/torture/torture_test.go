package torture

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestNothingIsLostOrDoubled is two minutes of `make torture`, more on a busy machine: another seed each time, which a failure names.
func TestNothingIsLostOrDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real Kafka and PostgreSQL, which -short leaves out: run `make test`")
	}
	t.Chdir("../..")
	dir := t.TempDir()
	cfg := Config{Binary: filepath.Join(dir, "mlmonitor"), Dir: dir, Seed: uint64(time.Now().UnixNano()) % 1_000_000_000, Rounds: 24, For: 8 * time.Minute, Check: 40 * time.Second, Lanes: 2, Rate: 200}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", cfg.Binary, "./cmd/mlmonitor").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	result, err := Run(t.Context(), t, cfg)
	if err != nil {
		t.Fatalf("seed %d: %v", cfg.Seed, err)
	}
	t.Logf("%s", result)
	happened := 0
	for _, r := range result.Rounds {
		if !r.Void {
			happened++
		}
	}
	if happened < 8 || result.Kills == 0 || result.Totals.Verdicts < 10_000 {
		t.Errorf("this was no torture: %d faults, %d kills, %d verdicts", happened, result.Kills, result.Totals.Verdicts)
	}
	if !result.Good() {
		t.Errorf("again: make torture SEED=%d LANES=%d", cfg.Seed, cfg.Lanes)
		for _, f := range result.Findings[:min(20, len(result.Findings))] {
			t.Errorf("round %d, %s: %s", f.Round, f.Check, f.Detail)
		}
		if kept := os.Getenv("MLMONITOR_KEEP_LOGS"); kept != "" {
			if err := os.CopyFS(kept, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
		}
	}
}
