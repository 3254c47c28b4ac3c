package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// tagBacktest, on a version, is what a backtest of its bundle came to, JSON.
const tagBacktest = "mlmonitor.backtest"

// Backtest is what is attached of a replay to the version that it is of.
type Backtest struct {
	Digest       string             `json:"digest"` // of the bundle that was replayed
	Source       string             `json:"source"`
	Transactions int64              `json:"transactions"`
	From         time.Time          `json:"from"` // event times
	To           time.Time          `json:"to"`
	At           time.Time          `json:"at"`
	Report       string             `json:"report"` // artifact of the version's run
	Metrics      map[string]float64 `json:"-"`
}

// Attach logs the metrics of a backtest to the run of a version, uploads its files beside the bundle, and notes it on the version. The bundle must be the version's.
func (m *MLflow) Attach(ctx context.Context, version string, b Backtest, files map[string][]byte, prove Prove) error {
	v, err := m.Get(ctx, version)
	if err != nil {
		return err
	}
	bundle, _, err := m.Fetch(ctx, version, prove)
	if err != nil {
		return err
	}
	if bundle.ID.Digest != b.Digest {
		return fmt.Errorf("version %s has the bundle %s, replayed was %s", version, bundle.ID.Digest, b.Digest)
	}
	if v.RunID == "" {
		return fmt.Errorf("version %s has no run to attach to: log it from a run, or with mlmonitor model push", version)
	}
	var run struct {
		Run struct {
			Info struct {
				Artifacts string `json:"artifact_uri"`
			} `json:"info"`
		} `json:"run"`
	}
	if err := m.get(ctx, "/api/2.0/mlflow/runs/get", map[string][]string{"run_id": {v.RunID}}, &run); err != nil {
		return err
	}
	folder, ok := strings.CutPrefix(run.Run.Info.Artifacts, artifactScheme)
	if !ok {
		return fmt.Errorf("the artifacts of version %s are at %s: only those that the MLflow server itself serves can be added to (mlflow server --serve-artifacts)", version, run.Run.Info.Artifacts)
	}
	b.At = time.Now().UTC().Truncate(time.Second)
	under := path.Join("backtest", b.At.Format("20060102T150405Z"))
	for name, data := range files {
		if err := m.upload(ctx, path.Join(strings.TrimLeft(folder, "/"), under, name), data); err != nil {
			return fmt.Errorf("upload %s: %w", name, err)
		}
	}
	b.Report = path.Join(under, "report.html")
	type metric struct {
		Key       string  `json:"key"`
		Value     float64 `json:"value"`
		Timestamp int64   `json:"timestamp"`
	}
	var all []metric
	for key, value := range b.Metrics {
		all = append(all, metric{"backtest." + key, value, b.At.UnixMilli()})
	}
	if err := m.post(ctx, "/api/2.0/mlflow/runs/log-batch", map[string]any{"run_id": v.RunID, "metrics": all}, nil); err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return m.SetTag(ctx, version, tagBacktest, string(text))
}

// ErrNoBacktest says that a version may not be promoted yet.
var ErrNoBacktest = errors.New("no backtest of this bundle is attached")

// backtested makes sure that a version has a backtest of its own bundle.
func (v ModelVersion) backtested(digest string) error {
	text := v.Tag(tagBacktest)
	if text == "" {
		return fmt.Errorf("version %s: %w: mlmonitor replay --bundle models:/%s/%s --attach, or promote with --force", v.Version, ErrNoBacktest, v.Name, v.Version)
	}
	var b Backtest
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return fmt.Errorf("version %s: the tag %s is not what was written: %w", v.Version, tagBacktest, err)
	}
	if b.Digest != digest {
		return fmt.Errorf("version %s: %w: the one that is attached is of %s", v.Version, ErrNoBacktest, b.Digest)
	}
	return nil
}
