package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// bundleOf is a copy of the sample under another version, and so with another digest.
func bundleOf(t *testing.T, version string) (dir string, b *scorer.Bundle) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../bundles/sample")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "bundle.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte(`"version": "1"`), []byte(fmt.Sprintf(`"version": %q`, version)), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err = scorer.LoadBundle(os.DirFS(dir), scorer.Auto); err != nil {
		t.Fatal(err)
	}
	return dir, b
}

// TestModelsAreSwappedOnRealParts: under load, on a real Kafka and MLflow, a version is promoted, rolled back and promoted again while scorers are killed; MLflow goes away; a
// poisoned version is given the alias. Of each partition the verdicts' digests change exactly as the topic of models says, each verdict is that of its bundle, byte for
// byte, and no input is lost or answered twice.
func TestModelsAreSwappedOnRealParts(t *testing.T) {
	s := newStack(t)
	mlflow := rig.MLflow(t)
	env := append(s.env[:len(s.env):len(s.env)], "BUNDLE_DIR=", "MLFLOW_TRACKING_URI="+mlflow.URL, "MODEL_POLL_INTERVAL=500ms")
	command := func(args ...string) string {
		t.Helper()
		return mustRun(t, append(env, "MODEL_CACHE_DIR="+t.TempDir()), append([]string{"model"}, args...)...)
	}
	bundles := map[string]*scorer.Bundle{} // by digest
	for _, version := range []string{"one", "two", "poisoned"} {
		dir, b := bundleOf(t, version)
		command("push", dir)
		bundles[b.ID.Digest] = b
	}
	poison(t, mlflow.URL, "3")
	command("promote", "1", "--force", "--by", "ann", "--why", "the first")
	post(t, mlflow.URL+"/api/2.0/mlflow/registered-models/alias", map[string]string{"name": "fraud-detector", "alias": "challenger", "version": "2"})

	var scorers []*process
	for i := range 2 {
		p := supervise(t, "score", fmt.Sprintf("models-%d", i), rig.FreePort(t), append(env, "MODEL_CACHE_DIR="+t.TempDir()))
		scorers = append(scorers, p)
	}
	for _, p := range scorers {
		p.becomesReady(t)
	}
	load := s.flow(t, "--rate", "1500", "--malformed", "0.002")
	time.Sleep(3 * time.Second)
	command("promote", "2", "--force", "--by", "ann", "--why", "better", "--wait", "2m")
	scorers[0].kill()
	time.Sleep(time.Second)
	if out := command("rollback", "--by", "bob", "--why", "worse", "--wait", "2m"); !strings.Contains(out, "version 1") {
		t.Errorf("rollback says %s", out)
	}
	command("canary", "--share", "0.3", "--by", "ann", "--why", "carefully", "--wait", "2m")
	scorers[1].kill()
	time.Sleep(2 * time.Second)
	command("promote", "2", "--force", "--by", "ann", "--why", "mended", "--wait", "2m")

	if err := mlflow.Kill(); err != nil {
		t.Fatal(err)
	}
	before := s.verdicts(t)
	scorers[0].kill() // and starts again from its cache
	eventually(t, "verdicts without MLflow", func() bool { return s.verdicts(t) >= before+6000 })
	if err := mlflow.Start(); err != nil {
		t.Fatal(err)
	}

	if _, err := run(t, append(env, "MODEL_CACHE_DIR="+t.TempDir()), "model", "promote", "3", "--by", "eve", "--why", "poison"); err == nil || !strings.Contains(err.Error(), "not promoted") {
		t.Errorf("a version that does not hold is promoted: %v", err)
	}
	post(t, mlflow.URL+"/api/2.0/mlflow/registered-models/alias", map[string]string{"name": "fraud-detector", "alias": "champion", "version": "3"})
	for _, p := range scorers {
		eventually(t, "the poisoned version is refused", func() bool {
			_, page := fetch(t, p.url+"/metrics")
			return strings.Contains(page, "\nmlmonitor_registry_refused_total ") && !strings.Contains(page, "\nmlmonitor_registry_refused_total 0\n")
		})
	}
	command("promote", "1", "--force", "--by", "ann", "--why", "after the poison", "--wait", "2m")

	sent := load.end(t)
	eventually(t, "all is answered", func() bool {
		lag, err := consumer.Lag(t.Context(), &s.topics, "mlmonitor-score")
		return err == nil && lag == 0
	})
	under := s.asTold(t, bundles)
	if under["one"] == 0 || under["two"] == 0 || under["poisoned"] != 0 || under["one"]+under["two"] != int(sent.Transactions-sent.Malformed) {
		t.Errorf("verdicts under %v of %+v", under, sent)
	}
	shadow := 0
	whole, err := kafka.Settled(t.Context(), &s.topics, s.topics.Shadow, patience)
	if err == nil {
		err = kafka.Read(t.Context(), &s.topics, s.topics.Shadow, whole, func(r *kafka.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if err == nil && (v.Bundle.Version != "two" || r.Partition != v.Source.Partition) {
				err = fmt.Errorf("in the shadow is %s", r.Value)
			}
			shadow++
			return err
		})
	}
	if err != nil || shadow < 1000 {
		t.Errorf("%d verdicts in the shadow, %v", shadow, err)
	}
	if out := mustRun(t, append(env, "MODEL_CACHE_DIR="+t.TempDir()), "replay", "--verify"); !strings.Contains(out, fmt.Sprintf("%d inputs", sent.Transactions)) || strings.Contains(out, "DIFFERS") {
		t.Errorf("the auditor's replay says %s", out)
	}
	var history struct {
		Moves  []struct{ Why string }
		Shadow []app.ShadowReport
	}
	if err := json.Unmarshal([]byte(command("history", "--shadow", "--json")), &history); err != nil {
		t.Fatal(err)
	}
	paired := int64(0)
	for _, one := range history.Shadow {
		paired += one.Transactions
		if one.Challenger.Version != "two" || one.Champion.Version != "one" || one.Agreement != 1 || one.PSI != 0 || one.MaxDistance != 0 {
			t.Errorf("in the shadow of a model that is the same: %+v", one)
		}
	}
	if paired != int64(shadow) || len(history.Moves) < 5 {
		t.Errorf("%d of %d in the shadow are paired: %+v", paired, shadow, history)
	}
	t.Logf("%d in the shadow; verdicts under %v; history:\n%s", shadow, under, command("history", "--shadow"))
}

// verdicts is how many there are.
func (s *stack) verdicts(t *testing.T) (n int64) {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &s.topics, s.topics.Verdicts, patience)
	if err != nil {
		t.Fatal(err)
	}
	return whole.Len()
}

// asTold holds each verdict to the topic of models and to its bundle, and gives how many there are by version.
func (s *stack) asTold(t *testing.T, bundles map[string]*scorer.Bundle) map[string]int {
	t.Helper()
	read := func(topic string, each func(*kafka.Record) error) {
		t.Helper()
		whole, err := kafka.Settled(t.Context(), &s.topics, topic, patience)
		if err == nil {
			err = kafka.Read(t.Context(), &s.topics, topic, whole, each)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	told := schemas.NewTimeline(s.topics.Transactions)
	read(s.topics.Models, func(r *kafka.Record) error {
		e, err := schemas.ParseModelEvent(r.Value)
		told.Add(&e)
		return err
	})
	type place struct {
		partition int32
		offset    int64
	}
	values, keys := map[place][]byte{}, map[place][]byte{}
	stamps := map[place]time.Time{}
	read(s.topics.Transactions, func(r *kafka.Record) error {
		at := place{r.Partition, r.Offset}
		values[at], keys[at], stamps[at] = bytes.Clone(r.Value), bytes.Clone(r.Key), r.Timestamp
		return nil
	})
	scorers := map[string]*scorer.Scorer{}
	for digest, b := range bundles {
		scorers[digest] = b.NewScorer()
	}
	under, seen := map[string]int{}, map[place]bool{}
	read(s.topics.Verdicts, func(r *kafka.Record) error {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			return err
		}
		at := place{v.Source.Partition, v.Source.Offset}
		if seen[at] {
			return fmt.Errorf("%v is answered twice", at)
		}
		seen[at] = true
		said, _ := told.At(at.partition, at.offset, keys[at])
		if said != v.Bundle {
			return fmt.Errorf("%v is under %v, told was %v", at, v.Bundle, said)
		}
		again := scorers[said.Digest]
		if again == nil {
			return fmt.Errorf("%v is under %v, which nobody pushed", at, said)
		}
		again.Reset()
		again.Add(values[at], stamps[at])
		outcomes, err := again.Score()
		if err != nil || outcomes[0].Err != nil {
			return fmt.Errorf("%v scored again: %v, %v", at, err, outcomes[0].Err)
		}
		outcomes[0].Verdict.Source = v.Source
		text, err := outcomes[0].Verdict.Append(nil)
		if err != nil || !bytes.Equal(text, r.Value) {
			return fmt.Errorf("%v scored again is %s, it was %s: %v", at, text, r.Value, err)
		}
		under[v.Bundle.Version]++
		return nil
	})
	return under
}

// poison changes a model behind MLflow's back.
func poison(t *testing.T, server, version string) {
	t.Helper()
	var out struct {
		URI string `json:"artifact_uri"`
	}
	if err := json.Unmarshal(get(t, server+"/api/2.0/mlflow/model-versions/get-download-uri?name=fraud-detector&version="+version), &out); err != nil {
		t.Fatal(err)
	}
	path := server + "/api/2.0/mlflow-artifacts/artifacts/" + strings.TrimPrefix(out.URI, "mlflow-artifacts:/") + "/model.txt"
	model := get(t, path)
	changed := bytes.Replace(model, []byte("leaf_value="), []byte("leaf_value=9"), 1)
	if bytes.Equal(model, changed) {
		t.Fatal("the model has no leaf")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, path, bytes.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("MLflow says %s", resp.Status)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	status, page := fetch(t, url)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", url, status, page)
	}
	return []byte(page)
}

func post(t *testing.T, url string, body any) []byte {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
