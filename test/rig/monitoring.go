package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Monitor is a real Prometheus that scrapes processes every second and evaluates rules as often, with an Alertmanager.
type Monitor struct {
	URL    string // of Prometheus
	script script
}

// Monitoring starts one for this test. targets are host:port by job; rules are the contents of rule files by name; alerts go to the address webhook. Under go
// test -short it skips the test.
func Monitoring(t T, targets map[string][]string, rules map[string]string, webhook string) *Monitor {
	t.Helper()
	skipWhenShort(t, "Prometheus")
	fail := func(err error) {
		if err != nil {
			t.Fatalf("start Prometheus: %v", err)
		}
	}
	sc, err := newScript("monitoring.sh")
	fail(err)
	t.Cleanup(func() {
		if err := sc.remove(); err != nil {
			t.Logf("stop Prometheus: %v", err)
		}
	})
	ports, err := FreePorts(2)
	fail(err)
	fail(os.Mkdir(filepath.Join(sc.dir, "rules"), 0o755))
	for name, text := range rules {
		fail(os.WriteFile(filepath.Join(sc.dir, "rules", name), []byte(text), 0o644))
	}
	var scrapes []map[string]any
	for job, addresses := range targets {
		scrapes = append(scrapes, map[string]any{"job_name": job, "static_configs": []any{map[string]any{"targets": addresses}}})
	}
	for name, config := range map[string]any{
		"prometheus.yml": map[string]any{
			"global":         map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
			"rule_files":     []string{"rules/*.yml"},
			"alerting":       map[string]any{"alertmanagers": []any{map[string]any{"static_configs": []any{map[string]any{"targets": []string{fmt.Sprintf("127.0.0.1:%d", ports[1])}}}}}},
			"scrape_configs": scrapes,
		},
		"alertmanager.yml": map[string]any{
			"route":     map[string]any{"receiver": "hook", "group_by": []string{"..."}, "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"},
			"receivers": []any{map[string]any{"name": "hook", "webhook_configs": []any{map[string]any{"url": webhook, "send_resolved": true}}}},
		},
	} {
		text, err := json.Marshal(config) // which is YAML
		fail(err)
		fail(os.WriteFile(filepath.Join(sc.dir, name), text, 0o644))
	}
	fail(sc.start(fmt.Sprintf("PROMETHEUS_PORT=%d", ports[0]), fmt.Sprintf("ALERTMANAGER_PORT=%d", ports[1])))
	return &Monitor{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), script: sc}
}

// Sample is one series of a query's answer.
type Sample struct {
	Labels map[string]string
	Value  string
}

// Query asks Prometheus for the value of an expression now.
func (m *Monitor) Query(ctx context.Context, expr string) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL+"/api/v1/query?"+url.Values{"query": {expr}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("Prometheus says %s: %w", strings.TrimSpace(string(body)), err)
	}
	if answer.Status != "success" {
		return nil, errors.New(answer.Error)
	}
	if answer.Data.ResultType != "vector" {
		return []Sample{{Value: string(answer.Data.Result)}}, nil
	}
	var series []struct {
		Metric map[string]string
		Value  [2]any
	}
	if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
		return nil, err
	}
	var all []Sample
	for _, s := range series {
		value, _ := s.Value[1].(string)
		all = append(all, Sample{s.Metric, value})
	}
	return all, nil
}

// Alertmanager is a real one with a configuration of the test's.
type Alertmanager struct {
	URL string
	Log string // file
	Dir string // of its configuration
}

// StartAlertmanager starts one for this test with the files of a configuration, by their path below its directory; "alertmanager.yml" is one of them. Under go test
// -short it skips the test.
func StartAlertmanager(t T, files map[string]string) *Alertmanager {
	t.Helper()
	skipWhenShort(t, "Alertmanager")
	fail := func(err error) {
		if err != nil {
			t.Fatalf("start Alertmanager: %v", err)
		}
	}
	sc, err := newScript("monitoring.sh")
	fail(err)
	t.Cleanup(func() {
		if err := sc.remove(); err != nil {
			t.Logf("stop Alertmanager: %v", err)
		}
	})
	for name, text := range files {
		path := filepath.Join(sc.dir, name)
		fail(os.MkdirAll(filepath.Dir(path), 0o755))
		fail(os.WriteFile(path, []byte(text), 0o644))
	}
	ports, err := FreePorts(1)
	fail(err)
	fail(sc.start(fmt.Sprintf("ALERTMANAGER_PORT=%d", ports[0])))
	return &Alertmanager{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Log: filepath.Join(sc.dir, "alertmanager.log"), Dir: sc.dir}
}

// Alert is one as a rule would raise it. One whose end is past is resolved.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Post gives it alerts, as Prometheus does.
func (a *Alertmanager) Post(ctx context.Context, alerts ...Alert) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("Alertmanager says %s: %s", resp.Status, said)
	}
	return nil
}
