package rig

import (
	"fmt"
)

// Registry is a real MLflow server.
type Registry struct {
	URL    string
	port   int
	script script
}

// MLflow starts a server for this test; it ends with the test. Under go test -short it skips the test.
func MLflow(t T) *Registry {
	t.Helper()
	skipWhenShort(t, "MLflow")
	sc, err := newScript("mlflow.sh")
	if err != nil {
		t.Fatalf("start MLflow: %v", err)
	}
	t.Cleanup(func() {
		if err := sc.remove(); err != nil {
			t.Logf("stop MLflow: %v", err)
		}
	})
	ports, err := freePorts(1)
	if err != nil {
		t.Fatalf("start MLflow: %v", err)
	}
	r := &Registry{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), port: ports[0], script: sc}
	if err := r.Start(); err != nil {
		t.Fatalf("start MLflow: %v", err)
	}
	return r
}

// Start starts the server again, with what it had.
func (r *Registry) Start() error { return r.script.start(fmt.Sprintf("MLFLOW_PORT=%d", r.port)) }

// Kill ends the server by SIGKILL, with its workers.
func (r *Registry) Kill() error { return r.script.call("kill9") }

// Dir is where the server has its database, mlflow.db, and artifacts.
func (r *Registry) Dir() string { return r.script.dir }
