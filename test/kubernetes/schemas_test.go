package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
)

// schemas makes, of the description of their API that the modules of Kubernetes hold, the files that kubeconform would otherwise take from the network: one per kind, which
// refers to all definitions. An object that names its fields may have no other.
var schemas = sync.OnceValues(func() (dir string, err error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of Kubernetes: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "api/openapi-spec/swagger.json"))
	if err != nil {
		return "", err
	}
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		return "", fmt.Errorf("read the API of Kubernetes: %w", err)
	}
	if dir, err = os.MkdirTemp("", "mlmonitor-schemas"); err != nil {
		return "", err
	}
	for name, definition := range api.Definitions {
		if _, open := definition["additionalProperties"]; definition["properties"] != nil && !open {
			definition["additionalProperties"] = false
		}
		if strings.HasSuffix(name, ".IntOrString") || strings.HasSuffix(name, ".Quantity") { // the description calls both strings
			definition["type"] = []string{"string", "integer", "number"}
		}
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			of := k.(map[string]any)
			parts := []string{of["kind"].(string), of["version"].(string)}
			if group, _, _ := strings.Cut(of["group"].(string), "."); group != "" {
				parts = []string{parts[0], group, parts[1]}
			}
			schema, err := json.Marshal(map[string]string{"$ref": "definitions.json#/definitions/" + name})
			if err != nil {
				return dir, err
			}
			if err := os.WriteFile(filepath.Join(dir, strings.ToLower(strings.Join(parts, "-"))+".json"), schema, 0o600); err != nil {
				return dir, err
			}
		}
	}
	all, err := json.Marshal(map[string]any{"definitions": api.Definitions})
	if err != nil {
		return dir, err
	}
	return dir, os.WriteFile(filepath.Join(dir, "definitions.json"), all, 0o600)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := schemas(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// conformityFaults are what kubeconform says, strictly. Prometheus' operator describes its kinds elsewhere: those are read strictly as its own types.
func conformityFaults(t *testing.T, text []byte) (faults []string) {
	t.Helper()
	dir, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New([]string{filepath.Join(dir, "{{.ResourceKind}}{{.KindSuffix}}.json")}, validator.Opts{Strict: true, SkipKinds: map[string]struct{}{"PodMonitor": {}}})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range v.Validate("built", io.NopCloser(bytes.NewReader(text))) {
		if r.Err != nil {
			faults = append(faults, r.Err.Error())
		}
		seen++
	}
	if seen < 10 {
		t.Errorf("kubeconform saw %d objects", seen)
	}
	return faults
}

func TestKubeconformTakesEachObject(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, conformityFaults(t, c.text)) })
}

func TestKubeconformFindsFaults(t *testing.T) {
	c, err := build(t, folder, "base")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct{ old, new, said string }{
		{"podManagementPolicy: Parallel", "podManagmentPolicy: Parallel", "podManagmentPolicy"},
		{"minReplicas: 2", "minReplicas: two", "minReplicas"},
		{"kind: CronJob", "kind: CornJob", "CornJob"},
		{"port: 8000", "port: {of: 8000}", "port"},
		{"  schedule: ", "  plan: ", "schedule"},
	} {
		broken := bytes.Replace(c.text, []byte(fault.old), []byte(fault.new), 1)
		if bytes.Equal(broken, c.text) {
			t.Errorf("%q is not built any more", fault.old)
		}
		if got := strings.Join(conformityFaults(t, broken), "; "); !strings.Contains(got, fault.said) {
			t.Errorf("with %q: got %q, want a word of %q", fault.new, got, fault.said)
		}
	}
}
