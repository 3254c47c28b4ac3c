package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestEveryPanelHasAnAnswer asks a real Prometheus, which scrapes a running demo, for what each panel of each dashboard shows.
func TestEveryPanelHasAnAnswer(t *testing.T) {
	rules := map[string]string{}
	files, err := filepath.Glob("../../deploy/prometheus/rules/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("rules %v: %v", files, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rules[filepath.Base(path)] = scaledDown.Replace(string(text))
	}
	port := rig.FreePort(t)
	target := []string{fmt.Sprintf("127.0.0.1:%d", port)}
	prometheus := rig.Monitoring(t, map[string][]string{"mlmonitor-score": target, "mlmonitor-audit": target}, rules, "http://127.0.0.1:9/")
	demo := exec.CommandContext(t.Context(), binary, "demo", "--dir", t.TempDir(), "--rate", "1000", "--malformed", "0.002")
	demo.Env = append(os.Environ(), fmt.Sprintf("OPS_PORT=%d", port))
	demo.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		demo.Process.Signal(syscall.SIGTERM)
		demo.Wait()
	})
	boards, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(boards) == 0 {
		t.Fatal("no dashboards", err)
	}
	fill := strings.NewReplacer("$__rate_interval", "10s", "$model_version", ".*", "$feature", ".*")
	asked := 0
	for _, path := range boards {
		for _, q := range panelQueries(t, path) {
			asked++
			var why string
			for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
				if why = answered(t, prometheus, fill.Replace(q.expr)); why == "" || time.Now().After(deadline) {
					break
				}
			}
			if why != "" {
				t.Errorf("%s: %q: %s: %s", filepath.Base(path), q.panel, why, q.expr)
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d queries", asked)
	}
	if why := answered(t, prometheus, "fraud_predictions_total{decision=\"no such\"}"); why == "" {
		t.Error("a query without an answer passes")
	}
}

// answered says what is wrong with the answer to a query, "" when it has a number.
func answered(t *testing.T, prometheus *rig.Monitor, expr string) string {
	t.Helper()
	samples, err := prometheus.Query(t.Context(), expr)
	if err != nil {
		return err.Error()
	}
	for _, s := range samples {
		if v, err := strconv.ParseFloat(s.Value, 64); err == nil && !math.IsNaN(v) {
			return ""
		}
	}
	return fmt.Sprintf("no number in %d samples", len(samples))
}

type panelQuery struct{ panel, expr string }

// panelQueries are those of a dashboard's file.
func panelQueries(t *testing.T, path string) (all []panelQuery) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type panel struct {
		Title   string
		Panels  json.RawMessage
		Targets []struct{ Expr string }
	}
	var walk func(raw json.RawMessage)
	walk = func(raw json.RawMessage) {
		if len(raw) == 0 {
			return
		}
		var panels []panel
		if err := json.Unmarshal(raw, &panels); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, p := range panels {
			for _, target := range p.Targets {
				all = append(all, panelQuery{p.Title, target.Expr})
			}
			walk(p.Panels)
		}
	}
	var board struct{ Panels json.RawMessage }
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	walk(board.Panels)
	return all
}
