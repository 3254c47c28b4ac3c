package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// TestTheStackRunsWithoutContainers starts what `make stack-up` starts, twice, asks it over TLS, sees Prometheus see every role, and ends it.
func TestTheStackRunsWithoutContainers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	dir, err := os.MkdirTemp("", "mlmonitor-stack") // Postgres runs as another user, who may not enter the test's own
	if err != nil {
		t.Fatal(err)
	}
	const base = 7000 // below the ports that rig, test/run.sh and the system give
	stack := func(verb string) {
		t.Helper()
		cmd := exec.Command("../../deploy/stack/stack.sh", verb, dir)
		cmd.Env = append(os.Environ(), "MLMONITOR="+binary, fmt.Sprintf("BASE_PORT=%d", base))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.WaitDelay = 5 * time.Second // what it starts stays
		if err := cmd.Run(); err != nil && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("stack.sh %s: %v\n%s", verb, err, tail(out.String()))
		}
	}
	defer os.RemoveAll(dir)
	defer func() {
		stack("down")
		if !t.Failed() {
			return
		}
		logs, err := filepath.Glob(filepath.Join(dir, "log", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range logs {
			if data, err := os.ReadFile(path); err == nil {
				t.Logf("end of the log of %s:\n%s", filepath.Base(path), tail(string(data)))
			}
		}
	}()
	stack("up")
	stack("up") // nothing is left to do
	if t.Failed() {
		t.FailNow()
	}
	roots := x509.NewCertPool()
	for _, authority := range []string{"nginx/tls/ca.crt", "mlflow/secrets/mlflow_ca"} {
		pem, err := os.ReadFile(filepath.Join(dir, authority))
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(pem)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a verdict", func() bool {
		resp, err := client.Post(fmt.Sprintf("https://localhost:%d/predict", base+7), "application/json", bytes.NewReader(b.Examples[0].Event))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusGatewayTimeout {
			return false // on a busy machine the first may take longer than API_TIMEOUT; clients ask again
		}
		if v, parse := schemas.ParseVerdict(body); err != nil || parse != nil || v.Probability != b.Examples[0].Probability {
			t.Fatalf("%d %s: %v, %v", resp.StatusCode, body, err, parse)
		}
		return true
	})
	if answer, err := client.Get(fmt.Sprintf("https://localhost:%d/api/2.0/mlflow/registered-models/get?name=fraud-detector", base+4)); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("MLflow answers who has no login: %v, %v", answer, err)
	}
	eventually(t, "doctor finds the scorers, and the brokers' retry time", func() bool {
		out, err := exec.Command("bash", "-c", `set -a; . "$1/env"; exec "$0" doctor`, binary, dir).CombinedOutput()
		if err != nil || !regexp.MustCompile(`(?m)^ok +add\.partitions\.to\.txn\.retry\.backoff\.ms `).Match(out) {
			t.Fatalf("doctor: %v\n%s", err, out)
		}
		return regexp.MustCompile(`(?m)^ok +scorers .*score-1, score-2$`).Match(out) // once their group is balanced
	})
	eventually(t, "Prometheus sees every role", func() bool {
		_, text := fetch(t, fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=sum(up)", base+5))
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		return json.Unmarshal([]byte(text), &answer) == nil && len(answer.Data.Result) == 1 && answer.Data.Result[0].Value[1] == "6"
	})
}
