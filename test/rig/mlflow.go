package rig

import (
	"fmt"
	"path/filepath"
)

// Registry is a real MLflow server.
type Registry struct {
	URL    string
	port   int
	secure bool
	script script
}

// MLflow starts a server for this test; it ends with the test. Under go test -short it skips the test.
func MLflow(t T) *Registry {
	t.Helper()
	return startMLflow(t, false)
}

// SecureMLflow is MLflow with TLS and users, started by what docker-compose.yml starts it with: admin, trainer, who may change every model and experiment, and scorer, who may read them.
func SecureMLflow(t T) *Registry {
	t.Helper()
	return startMLflow(t, true)
}

func startMLflow(t T, secure bool) *Registry {
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
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatalf("start MLflow: %v", err)
	}
	r := &Registry{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), port: ports[0], secure: secure, script: sc}
	if secure {
		r.URL = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
	}
	if err := r.Start(); err != nil {
		t.Fatalf("start MLflow: %v", err)
	}
	return r
}

// Start starts the server again, with what it had.
func (r *Registry) Start() error {
	env := []string{fmt.Sprintf("MLFLOW_PORT=%d", r.port), "MLFLOW_SECURE="}
	if r.secure {
		env[1] = "MLFLOW_SECURE=1"
	}
	return r.script.start(env...)
}

// Secrets is the directory of a secure server's secrets, as deploy/compose/secrets.sh makes them.
func (r *Registry) Secrets() string { return filepath.Join(r.script.dir, "secrets") }

// CAFile is the authority of a secure server's certificate.
func (r *Registry) CAFile() string { return filepath.Join(r.Secrets(), "mlflow_ca") }

// PasswordFile holds the password of a user of a secure server: admin, trainer or scorer.
func (r *Registry) PasswordFile(user string) string {
	return filepath.Join(r.Secrets(), "mlflow_"+user+"_password")
}

// Kill ends the server by SIGKILL, with its workers.
func (r *Registry) Kill() error { return r.script.call("kill9") }

// Dir is where the server has its database, mlflow.db, and artifacts.
func (r *Registry) Dir() string { return r.script.dir }
