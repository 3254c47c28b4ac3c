package e2e

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

const trainingPython = "../../.cache/venv/bin/python"

// lateLabels writes labels as they come: some days after the transaction, those of after asOf not yet; some never, some twice, some contradictory, some malformed, some of nobody.
func lateLabels(t *testing.T, events, kinds string, asOf time.Time) string {
	t.Helper()
	fraud := map[string]bool{}
	file, err := os.Open(kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		fraud[line[0]] = line[1] != ""
	}
	name := filepath.Join(t.TempDir(), "labels.csv")
	text := []byte("transaction_id,label,labelled_at\n")
	add := func(id, label string, at time.Time) {
		if at.Before(asOf) {
			text = fmt.Appendf(text, "%s,%s,%s\n", id, label, at.UTC().Format(time.RFC3339))
		}
	}
	in, err := os.Open(events)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for scan := bufio.NewScanner(in); scan.Scan(); {
		var e struct {
			ID   string    `json:"transaction_id"`
			Time time.Time `json:"event_time"`
		}
		if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		h := fnv.New64a()
		h.Write([]byte(e.ID))
		draw := h.Sum64()
		at := e.Time.Add(time.Duration(1+draw%20)*24*time.Hour + time.Hour)
		label := map[bool]string{true: "1", false: "0"}[fraud[e.ID]]
		other := map[string]string{"1": "0", "0": "1"}[label]
		switch draw >> 32 % 100 {
		case 0, 1, 2, 3, 4, 5, 6, 7: // never
		case 8:
			add(e.ID, label, at)
			add(e.ID, label, at)
		case 9: // corrected a day later
			add(e.ID, other, at)
			add(e.ID, label, at.Add(24*time.Hour))
		case 10:
			add(e.ID, label, at)
			add(e.ID, other, at)
		case 11:
			add(e.ID, "yes", at)
		case 12:
			add("nobody-"+e.ID, label, at)
			add(e.ID, label, at)
		default:
			add(e.ID, label, at)
		}
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestABacktestEqualsAReference: sixty days of transactions with labels that come late; every figure equals what scikit-learn and a loop of Python make of the same files.
func TestABacktestEqualsAReference(t *testing.T) {
	if testing.Short() {
		t.Skip("sixty days")
	}
	dir := t.TempDir()
	events, kinds := filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "kinds.csv")
	mustRun(t, nil, "produce", "--count", "64000", "--customers", "500", "--terminals", "100", "--out", events, "--labels", kinds)
	asOf := time.Date(2026, 2, 25, 0, 0, 0, 0, time.UTC)
	labels := lateLabels(t, events, kinds, asOf)

	// A candidate of another kind: fewer trees, other thresholds.
	candidate := filepath.Join(dir, "candidate")
	train := exec.CommandContext(t.Context(), trainingPython, "../../training/train.py", "--events", events, "--labels", kinds, "--contract", "../../training/contract.yaml", "--out", candidate,
		"--library", "xgboost", "--trees", "40", "--costs", "../../training/costs.yaml", "--mlmonitor", binary, "--name", "candidate")
	if out, err := train.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	base := "../../bundles/sample"
	args := []string{"../../test/e2e/testdata/backtest.py", events, labels}
	for i, bundle := range []string{base, candidate} {
		name := filepath.Join(dir, fmt.Sprintf("verdicts%d.jsonl", i))
		if err := os.WriteFile(name, []byte(mustRun(t, nil, "model", "predict", bundle, "--events", events)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	const k = "15"
	reference := exec.CommandContext(t.Context(), trainingPython, append(args, "../../training/costs.yaml", asOf.Format(time.RFC3339), "7", k)...)
	reference.Stderr = os.Stderr
	out, err := reference.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Labels   map[string]int64
		Decided  [3][3]int64
		Sides    []map[string]any
		Segments map[string]map[string]int64
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}

	page := filepath.Join(dir, "report.html")
	text := mustRun(t, nil, "replay", "--events", events, "--bundle", candidate, "--against", base, "--labels", labels, "--costs", "../../training/costs.yaml", "--as-of", asOf.Format(time.RFC3339),
		"--maturity", "7d", "--k", k, "--segment", "channel", "--out", page, "--policy", filepath.Join(dir, "policy.yaml"), "--parquet", filepath.Join(dir, "rows.parquet"), "--json")
	var got struct {
		Labels   map[string]int64
		Compared struct{ Decided [3][3]int64 }
		Sides    []map[string]any
		Segments []struct {
			Value   string
			Count   int64
			Decided [3][3]int64
			Known   [2]int64
		}
		Difference map[string]map[string]float64
		Suggested  struct {
			WithinCapacity bool `json:"within_capacity"`
		} `json:"suggested_policy"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	for name, n := range want.Labels {
		if got.Labels[name] != n {
			t.Errorf("%s labels: %d, the reference has %d", name, got.Labels[name], n)
		}
	}
	if want.Labels["malformed"] == 0 || want.Labels["conflicting"] == 0 || want.Labels["unknown"] == 0 || want.Labels["immature"] == 0 || want.Labels["unlabelled"] == 0 {
		t.Errorf("the labels are too good: %v", want.Labels)
	}
	if got.Compared.Decided != want.Decided {
		t.Errorf("decided %v, the reference %v", got.Compared.Decided, want.Decided)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))) {
			t.Errorf("%s is %v, the reference has %v", what, got, want)
		}
	}
	if len(got.Sides) != 2 {
		t.Fatalf("%d sides", len(got.Sides))
	}
	for i, w := range want.Sides {
		for name, value := range w {
			what := fmt.Sprintf("side %d, %s", i, name)
			switch v := value.(type) {
			case float64:
				g, ok := got.Sides[i][name].(map[string]any)
				if !ok {
					t.Errorf("%s is missing", what)
					continue
				}
				if name == "cost" { // each cost is rounded to a ten-thousandth
					if math.Abs(g["value"].(float64)-v) > 0.01 {
						t.Errorf("%s is %v, the reference has %v", what, g["value"], v)
					}
				} else {
					near(what, g["value"].(float64), v)
				}
				if g["low"].(float64) > v || g["high"].(float64) < v {
					t.Errorf("%s: the interval %v to %v lacks the value %v", what, g["low"], g["high"], v)
				}
			case []any:
				if name == "decided" {
					if diff := cmp.Diff(v, got.Sides[i][name]); diff != "" {
						t.Errorf("%s: reference (-), replay (+)\n%s", what, diff)
					}
					continue
				}
				bins := got.Sides[i][name].([]any)
				if len(bins) != len(v) {
					t.Errorf("%s has %d bins, the reference %d", what, len(bins), len(v))
					continue
				}
				for j := range v {
					for field, x := range v[j].(map[string]any) {
						near(fmt.Sprintf("%s, bin %d, %s", what, j, field), bins[j].(map[string]any)[field].(float64), x.(float64))
					}
				}
			}
		}
	}
	for value, w := range want.Segments {
		i := slices.IndexFunc(got.Segments, func(s struct {
			Value   string
			Count   int64
			Decided [3][3]int64
			Known   [2]int64
		}) bool {
			return s.Value == value
		})
		if i < 0 || got.Segments[i].Count != w["count"] || got.Segments[i].Decided[0][2]+got.Segments[i].Decided[1][2] != w["newly_declined"] || got.Segments[i].Known[1] != w["frauds"] {
			t.Errorf("segment %s: %+v, the reference %v", value, got.Segments, w)
		}
	}
	if !got.Suggested.WithinCapacity || len(got.Difference) == 0 {
		t.Errorf("no policy, or no difference: %+v", got)
	}
	policy, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scorer.ParsePolicy(policy); err != nil {
		t.Errorf("the suggested policy is none: %v\n%s", err, policy)
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "card precision at 15 a day") {
		t.Errorf("the page: %v", err)
	}
}

// TestABacktestIsAskedForBeforeAPromotion: on a real Kafka and MLflow, a version is not promoted, is replayed against what was decided, gets the result attached, and is promoted; the auditor's replay
// finds each verdict as its bundle made it.
func TestABacktestIsAskedForBeforeAPromotion(t *testing.T) {
	s := newStack(t)
	mlflow := rig.MLflow(t)
	dir := t.TempDir()
	env := append(s.env[:len(s.env):len(s.env)], "BUNDLE_DIR=", "MLFLOW_TRACKING_URI="+mlflow.URL, "MODEL_POLL_INTERVAL=500ms", "MODEL_CACHE_DIR="+filepath.Join(dir, "cache"))
	for _, version := range []string{"one", "two"} {
		folder, _ := bundleOf(t, version)
		mustRun(t, env, "model", "push", folder)
	}
	mustRun(t, env, "model", "promote", "1", "--force", "--by", "ann", "--why", "the first")
	one := supervise(t, "score", "backtest", rig.FreePort(t), env)
	one.becomesReady(t)
	mustRun(t, s.env, "produce", "--count", "5000", "--customers", "200", "--malformed", "0.01")
	eventually(t, "all is answered", func() bool {
		lag, err := consumer.Lag(t.Context(), &s.topics, "mlmonitor-score")
		return err == nil && lag == 0
	})
	promote := []string{"model", "promote", "2", "--by", "ann", "--why", "better"}
	if _, err := run(t, env, promote...); err == nil || !strings.Contains(err.Error(), "no backtest") {
		t.Fatalf("without a backtest: %v", err)
	}
	if _, err := run(t, env, "replay", "--bundle", "sample", "--attach"); err == nil || !strings.Contains(err.Error(), "--attach needs a version") {
		t.Errorf("attached to no version: %v", err)
	}
	var report struct {
		Records  int64
		Compared struct {
			Transactions int64
			Agreement    float64
		}
	}
	if err := json.Unmarshal([]byte(mustRun(t, env, "replay", "--bundle", "models:/fraud-detector/2", "--attach", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Records != 5000 || report.Compared.Agreement != 1 || report.Compared.Transactions < 4900 {
		t.Errorf("the same model on the same transactions: %+v", report)
	}
	mustRun(t, env, promote...)
	listing := string(get(t, mlflow.URL+"/api/2.0/mlflow/model-versions/get?name=fraud-detector&version=2"))
	if !strings.Contains(listing, "mlmonitor.backtest") {
		t.Errorf("the version has no word of it: %s", listing)
	}
	var version struct {
		V struct {
			RunID string `json:"run_id"`
		} `json:"model_version"`
	}
	if err := json.Unmarshal([]byte(listing), &version); err != nil {
		t.Fatal(err)
	}
	logged := string(get(t, mlflow.URL+"/api/2.0/mlflow/runs/get?run_id="+version.V.RunID))
	if !strings.Contains(logged, "backtest.agreement") {
		t.Errorf("the run has no figures: %.500s", logged)
	}

	// The auditor, while verdicts of both versions stand there.
	eventually(t, "the swap is told", func() bool {
		return strings.Contains(mustRun(t, env, "replay", "--verify", "--json"), `"differences": {}`) && s.swapped(t)
	})
	mustRun(t, s.env, "produce", "--count", "1000", "--customers", "200", "--first", "5000")
	eventually(t, "all is answered", func() bool {
		lag, err := consumer.Lag(t.Context(), &s.topics, "mlmonitor-score")
		return err == nil && lag == 0
	})
	out := mustRun(t, env, "replay", "--verify")
	if strings.Count(out, "bundle ") != 2 || strings.Contains(out, "DIFFERS") {
		t.Errorf("the auditor is told: %s", out)
	}
	forged := append([]byte(nil), s.firstVerdict(t)...)
	s.forge(t, forged)
	if out, err := run(t, env, "replay", "--verify"); err == nil || !strings.Contains(out, "out of order") {
		t.Errorf("a forged verdict is not found: %v\n%s", err, out)
	}
}

// TestABackfillSurvivesKills: killed by SIGKILL again and again, and started with the same words, it has each verdict once.
func TestABackfillSurvivesKills(t *testing.T) {
	s := newStack(t)
	mustRun(t, s.env, "produce", "--count", "150000", "--malformed", "0.001")
	target := s.topics
	target.Verdicts = "backfill"
	if _, err := kafka.LayOut(t.Context(), &target, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for wait := 60 * time.Millisecond; ; wait += 60 * time.Millisecond {
		cmd := exec.CommandContext(t.Context(), binary, "replay", "--bundle", "sample", "--publish", "backfill", "--to", "20000")
		cmd.Env = append(os.Environ(), s.env...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		if kills++; kills > 100 {
			t.Fatalf("it does not come to an end: %v", err)
		}
	}
	seen := map[string]bool{}
	whole, err := kafka.Settled(t.Context(), &target, "backfill", patience)
	if err == nil {
		err = kafka.Read(t.Context(), &target, "backfill", whole, func(r *kafka.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if at := fmt.Sprint(v.Source.Partition, " ", v.Source.Offset); seen[at] {
				t.Errorf("%s stands twice", at)
			} else {
				seen[at] = true
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Scored int64 }
	if err := json.Unmarshal([]byte(mustRun(t, s.env, "replay", "--bundle", "sample", "--against", "none", "--to", "20000", "--json")), &found); err != nil {
		t.Fatal(err)
	}
	if int64(len(seen)) != found.Scored || found.Scored < 100_000 || kills < 3 {
		t.Errorf("%d verdicts after %d kills, %d are due", len(seen), kills, found.Scored)
	}
	t.Logf("%d kills", kills)
}

// swapped says whether the topic of models tells of version two.
func (s *stack) swapped(t *testing.T) (found bool) {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &s.topics, s.topics.Models, patience)
	if err == nil {
		err = kafka.Read(t.Context(), &s.topics, s.topics.Models, whole, func(r *kafka.Record) error {
			found = found || strings.Contains(string(r.Value), `"version":"two"`)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// firstVerdict is the value of one verdict.
func (s *stack) firstVerdict(t *testing.T) (value []byte) {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &s.topics, s.topics.Verdicts, patience)
	if err == nil {
		err = kafka.Read(t.Context(), &s.topics, s.topics.Verdicts, whole, func(r *kafka.Record) error {
			if value == nil && r.Partition == 0 {
				value = append(value, r.Value...)
			}
			return nil
		})
	}
	if err != nil || value == nil {
		t.Fatal("there is no verdict", err)
	}
	return value
}

// forge writes a verdict into partition 0 behind everyone's back.
func (s *stack) forge(t *testing.T, value []byte) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: s.topics.Verdicts, Partition: 0, Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
