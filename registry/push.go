package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// Push registers the bundle in a directory as a new version: its files go to the artifact proxy, bundle.json last. The bundle is proved first; the registered model is made where it
// is missing.
func (m *MLflow) Push(ctx context.Context, dir string, prove Prove) (ModelVersion, error) {
	b, err := prove(dir)
	if err != nil {
		return ModelVersion{}, err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return ModelVersion{}, err
	}
	files, err := scorer.Files(manifest)
	if err != nil {
		return ModelVersion{}, err
	}
	err = m.post(ctx, "/api/2.0/mlflow/registered-models/create", map[string]string{"name": m.cfg.Model}, nil)
	var refused *APIError
	if err != nil && !(errors.As(err, &refused) && refused.Code == "RESOURCE_ALREADY_EXISTS") {
		return ModelVersion{}, err
	}
	run, source, err := m.newRun(ctx)
	if err != nil {
		return ModelVersion{}, err
	}
	folder, ok := strings.CutPrefix(source, artifactScheme)
	if !ok {
		return ModelVersion{}, fmt.Errorf("MLflow keeps artifacts at %s: a bundle can be pushed only where the server itself serves them (mlflow server --serve-artifacts)", source)
	}
	folder = path.Join(strings.TrimLeft(folder, "/"), "bundle")
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	for _, name := range append(names, manifestName) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = m.upload(ctx, path.Join(folder, name), data)
		}
		if err != nil {
			return ModelVersion{}, fmt.Errorf("upload %s: %w", name, err)
		}
	}
	var out struct {
		Version ModelVersion `json:"model_version"`
	}
	err = m.post(ctx, "/api/2.0/mlflow/model-versions/create", map[string]any{"name": m.cfg.Model, "source": source + "/bundle", "run_id": run,
		"description": fmt.Sprintf("ML-Monitor bundle %s %s", b.ID.Name, b.ID.Version),
		"tags":        []Tag{{"mlmonitor.digest", b.ID.Digest}, {"mlmonitor.bundle", b.ID.Name + " " + b.ID.Version}}}, &out)
	return out.Version, err
}

// experiment is where runs of pushed bundles are.
const experiment = "mlmonitor"

// newRun makes a finished run for a bundle's files, and gives where they go: MLflow takes versions only from runs and logged models.
func (m *MLflow) newRun(ctx context.Context) (id, artifacts string, err error) {
	var made struct {
		ID string `json:"experiment_id"`
	}
	err = m.post(ctx, "/api/2.0/mlflow/experiments/create", map[string]string{"name": experiment}, &made)
	var refused *APIError
	if errors.As(err, &refused) && refused.Code == "RESOURCE_ALREADY_EXISTS" {
		var found struct {
			Experiment struct {
				ID string `json:"experiment_id"`
			} `json:"experiment"`
		}
		err = m.get(ctx, "/api/2.0/mlflow/experiments/get-by-name", url.Values{"experiment_name": {experiment}}, &found)
		made.ID = found.Experiment.ID
	}
	if err != nil {
		return "", "", err
	}
	var run struct {
		Run struct {
			Info struct {
				ID        string `json:"run_id"`
				Artifacts string `json:"artifact_uri"`
			} `json:"info"`
		} `json:"run"`
	}
	now := time.Now().UnixMilli()
	if err := m.post(ctx, "/api/2.0/mlflow/runs/create", map[string]any{"experiment_id": made.ID, "start_time": now, "run_name": "push"}, &run); err != nil {
		return "", "", err
	}
	id, artifacts = run.Run.Info.ID, run.Run.Info.Artifacts
	return id, artifacts, m.post(ctx, "/api/2.0/mlflow/runs/update", map[string]any{"run_id": id, "status": "FINISHED", "end_time": now}, nil)
}

func (m *MLflow) upload(ctx context.Context, path string, data []byte) error {
	return m.try(ctx, http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/"+escape(path), data, func(body io.Reader) error {
		_, err := io.Copy(io.Discard, io.LimitReader(body, maxAnswer))
		return err
	})
}
