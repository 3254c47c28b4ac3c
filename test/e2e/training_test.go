package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestATrainedBundleBecomesTheChallenger logs a bundle as training does, to a real MLflow with users and TLS, and takes it from there as operators and scorers do.
func TestATrainedBundleBecomesTheChallenger(t *testing.T) {
	mlflow := rig.SecureMLflow(t)
	dir := t.TempDir()
	env := append(asUser(mlflow, "trainer"), "MODEL_CACHE_DIR="+filepath.Join(dir, "cache"), "MLFLOW_DISABLE_TELEMETRY=true")
	bundle, b := bundleOf(t, "trained")
	track := func(folder string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "../../.cache/venv/bin/python", "../../training/track.py", folder, "--mlmonitor", binary, "--by", "ann", "--why", "weekly")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := track(bundle); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var versions []struct {
		Version string
		Aliases []string
		Tags    map[string]string
	}
	if err := json.Unmarshal([]byte(mustRun(t, env, "model", "list", "--json")), &versions); err != nil {
		t.Fatal(err)
	}
	if len(versions) != 1 || len(versions[0].Aliases) != 1 || versions[0].Aliases[0] != "challenger" || versions[0].Tags["mlmonitor.promoted_why"] != "weekly" {
		t.Errorf("versions %+v", versions)
	}
	out := mustRun(t, env, "model", "fetch", "--alias", "challenger", "--out", filepath.Join(dir, "challenger"))
	if !strings.Contains(out, b.ID.Digest) {
		t.Errorf("fetched is %s, want %s", out, b.ID.Digest)
	}
	if _, err := run(t, env, "model", "fetch", "1", "--out", filepath.Join(dir, "challenger")); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a folder is written over: %v", err)
	}
	var found struct {
		Runs []struct {
			Data struct {
				Params, Metrics []struct{ Key string }
			}
		}
	}
	answer, err := exec.CommandContext(t.Context(), "sh", "-c", `curl -fsS --cacert "$1" --user "trainer:$(cat "$2")" --json '{"experiment_ids": ["0", "1"]}' "$0"`,
		mlflow.URL+"/api/2.0/mlflow/runs/search", mlflow.CAFile(), mlflow.PasswordFile("trainer")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &found); err != nil || len(found.Runs) != 1 {
		t.Fatalf("runs %s, %v", answer, err)
	}
	has := map[string]bool{}
	for _, one := range append(found.Runs[0].Data.Params, found.Runs[0].Data.Metrics...) {
		has[one.Key] = true
	}
	for _, want := range []string{"library_version", "train.to", "embargo_days", "auc", "auc.low", "average_precision", "policy.decline.precision", "caught.stolen_card"} {
		if !has[want] {
			t.Errorf("the run has no %s: %v", want, has)
		}
	}

	// One that does not hold is registered, as a run is a run, and does not become the challenger.
	model := filepath.Join(bundle, "model.txt")
	text, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(model, []byte(strings.Replace(string(text), "leaf_value=", "leaf_value=9", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := track(bundle); err == nil || !strings.Contains(out, "did not become challenger") {
		t.Errorf("%v\n%s", err, out)
	}
	if out := mustRun(t, env, "model", "fetch", "--alias", "challenger", "--out", filepath.Join(dir, "again"), "--json"); !strings.Contains(out, `"version": "1"`) {
		t.Errorf("the challenger is %s", out)
	}
}
