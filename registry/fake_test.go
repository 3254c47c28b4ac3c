package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is an MLflow of one model in memory, for what a test wants to break. What it does as MLflow does is held against a real one by the same contract.
type fake struct {
	*httptest.Server
	mu        sync.Mutex
	down      bool
	exists    bool
	runs      int
	versions  []ModelVersion
	aliases   map[string]string
	tags      map[string]string // of the model
	artifacts map[string][]byte
	requests  int
	tamper    func(path string, data []byte) []byte // of downloads
	sizes     func(name string, size int64) int64   // of listings
}

func newFake(t *testing.T) *fake {
	f := &fake{aliases: map[string]string{}, tags: map[string]string{}, artifacts: map[string][]byte{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) set(change func(f *fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error_code":%q,"message":"no"}`, code)
}

func (f *fake) version(number string) *ModelVersion {
	for i := range f.versions {
		if f.versions[i].Version == number {
			return &f.versions[i]
		}
	}
	return nil
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	answer := func(v any) { json.NewEncoder(w).Encode(v) }
	data, _ := io.ReadAll(r.Body)
	var in struct {
		Name, Alias, Version, Key, Value, Source string
		Tags                                     []Tag
	}
	if r.Method == http.MethodPost {
		json.Unmarshal(data, &in)
	}
	q := r.URL.Query()
	const artifacts = "/api/2.0/mlflow-artifacts/artifacts"
	switch p := r.URL.Path; {
	case p == "/api/2.0/mlflow/registered-models/create" && f.exists:
		refuse(w, 400, "RESOURCE_ALREADY_EXISTS")
	case p == "/api/2.0/mlflow/registered-models/create":
		f.exists = true
		answer(map[string]any{})
	case p == "/api/2.0/mlflow/experiments/create":
		answer(map[string]string{"experiment_id": "1"})
	case p == "/api/2.0/mlflow/runs/create":
		f.runs++
		answer(map[string]any{"run": map[string]any{"info": map[string]string{"run_id": fmt.Sprint("r", f.runs), "artifact_uri": fmt.Sprintf("mlflow-artifacts:/1/r%d/artifacts", f.runs)}}})
	case p == "/api/2.0/mlflow/runs/update":
		answer(map[string]any{})
	case p == "/api/2.0/mlflow/model-versions/create":
		v := ModelVersion{Name: in.Name, Version: strconv.Itoa(len(f.versions) + 1), Source: in.Source, Status: "READY", Tags: in.Tags}
		f.versions = append(f.versions, v)
		answer(map[string]any{"model_version": v})
	case p == "/api/2.0/mlflow/registered-models/alias" && r.Method == http.MethodPost:
		if f.version(in.Version) == nil {
			refuse(w, 404, "RESOURCE_DOES_NOT_EXIST")
			return
		}
		f.aliases[in.Alias] = in.Version
		answer(map[string]any{})
	case p == "/api/2.0/mlflow/registered-models/alias":
		v := f.version(f.aliases[q.Get("alias")])
		if v == nil {
			refuse(w, 400, "INVALID_PARAMETER_VALUE")
			return
		}
		answer(map[string]any{"model_version": v})
	case p == "/api/2.0/mlflow/model-versions/get" || p == "/api/2.0/mlflow/model-versions/get-download-uri":
		v := f.version(q.Get("version"))
		if v == nil {
			refuse(w, 404, "RESOURCE_DOES_NOT_EXIST")
			return
		}
		answer(map[string]any{"model_version": v, "artifact_uri": v.Source})
	case p == "/api/2.0/mlflow/model-versions/search": // two a page, the newest first
		from, _ := strconv.Atoi(q.Get("page_token"))
		var page []ModelVersion
		for i := from; i < min(from+2, len(f.versions)); i++ {
			page = append(page, f.versions[len(f.versions)-1-i])
		}
		next := ""
		if from+2 < len(f.versions) {
			next = strconv.Itoa(from + 2)
		}
		answer(map[string]any{"model_versions": page, "next_page_token": next})
	case p == "/api/2.0/mlflow/registered-models/get":
		var aliases []map[string]string
		for a, v := range f.aliases {
			aliases = append(aliases, map[string]string{"alias": a, "version": v})
		}
		var tags []Tag
		for k, v := range f.tags {
			tags = append(tags, Tag{k, v})
		}
		answer(map[string]any{"registered_model": map[string]any{"aliases": aliases, "tags": tags}})
	case p == "/api/2.0/mlflow/registered-models/set-tag":
		f.tags[in.Key] = in.Value
		answer(map[string]any{})
	case p == "/api/2.0/mlflow/model-versions/set-tag":
		v := f.version(in.Version)
		for i := range v.Tags {
			if v.Tags[i].Key == in.Key {
				v.Tags = append(v.Tags[:i:i], v.Tags[i+1:]...)
				break
			}
		}
		v.Tags = append(v.Tags, Tag{in.Key, in.Value})
		answer(map[string]any{})
	case p == artifacts:
		files := []map[string]any{}
		for name, content := range f.artifacts {
			if path.Dir(name) == q.Get("path") {
				size := int64(len(content))
				if f.sizes != nil {
					size = f.sizes(path.Base(name), size)
				}
				files = append(files, map[string]any{"path": path.Base(name), "is_dir": false, "file_size": size})
			}
		}
		answer(map[string]any{"files": files})
	case strings.HasPrefix(p, artifacts+"/") && r.Method == http.MethodPut:
		f.artifacts[strings.TrimPrefix(p, artifacts+"/")] = data
		answer(map[string]any{})
	case strings.HasPrefix(p, artifacts+"/"):
		name := strings.TrimPrefix(p, artifacts+"/")
		content, ok := f.artifacts[name]
		if !ok {
			refuse(w, 404, "RESOURCE_DOES_NOT_EXIST")
			return
		}
		if f.tamper != nil {
			content = f.tamper(name, content)
		}
		w.Write(content)
	default:
		http.NotFound(w, r)
	}
}
