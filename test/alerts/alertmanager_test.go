package alerts

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

const alertmanagerDir = "../../deploy/alertmanager"

// Keys of the test; none may stand in a log.
const (
	pagerKey  = "a3f0routingkeyofthetest00000000"
	slackPath = "/services/T0000/B0000/secretofthetest"
)

// message is what one of the two was sent.
type message struct {
	to    string // pagerduty, or the Slack channel
	key   string // of PagerDuty
	state string // trigger or resolve; "" with Slack
	text  string // the whole body
}

// receivers speak as much of PagerDuty's Events API v2 and of Slack's incoming webhooks as Alertmanager asks for.
type receivers struct {
	*httptest.Server
	mu   sync.Mutex
	got  []message
	down bool
	lost int // while down
}

func newReceivers(t *testing.T) *receivers {
	r := &receivers{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		body, _ := io.ReadAll(req.Body)
		var in struct {
			RoutingKey  string `json:"routing_key"`
			EventAction string `json:"event_action"`
			Channel     string `json:"channel"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		switch {
		case r.down:
			r.lost++
			http.Error(w, "down", http.StatusServiceUnavailable)
		case req.URL.Path == "/v2/enqueue":
			r.got = append(r.got, message{"pagerduty", in.RoutingKey, in.EventAction, string(body)})
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"x"}`)
		case req.URL.Path == slackPath:
			r.got = append(r.got, message{to: in.Channel, text: string(body)})
			io.WriteString(w, "ok")
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// about gives what was said of an alert to one of them.
func (r *receivers) about(alert, to string) (all []message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		if m.to == to && strings.Contains(m.text, alert) {
			all = append(all, m)
		}
	}
	return all
}

func (r *receivers) setDown(down bool) (lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
	return r.lost
}

// raised is an alert of the rules, with labels that they would have.
func raised(t *testing.T, name string, labels ...string) rig.Alert {
	t.Helper()
	all := alerts(t)
	i := slices.IndexFunc(all, func(r rule) bool { return r.Alert == name })
	if i < 0 {
		t.Fatalf("there is no alert %s", name)
	}
	a := rig.Alert{Labels: map[string]string{"alertname": name, "severity": all[i].Labels["severity"]}, EndsAt: time.Now().Add(time.Hour),
		Annotations: map[string]string{"summary": "Summary of " + name + ".", "runbook_url": all[i].Annotations["runbook_url"]}}
	for i := 0; i < len(labels); i += 2 {
		a.Labels[labels[i]] = labels[i+1]
	}
	return a
}

func resolved(a rig.Alert) rig.Alert {
	a.EndsAt = time.Now().Add(-time.Second)
	return a
}

// TestAPageWakesSomebodyAndATicketDoesNot runs the shipped configuration, with other addresses and shorter times.
func TestAPageWakesSomebodyAndATicketDoesNot(t *testing.T) {
	needsServers(t)
	r := newReceivers(t)
	secrets := t.TempDir()
	config, err := os.ReadFile(alertmanagerDir + "/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(config)
	for old, replaced := range map[string]string{
		"https://events.pagerduty.com/": r.URL + "/", "/run/secrets/": secrets + "/",
		"group_wait: 30s": "group_wait: 1s", "group_wait: 10s": "group_wait: 1s", "group_interval: 5m": "group_interval: 1s",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("alertmanager.yml has no %q any more", old)
		}
		text = strings.ReplaceAll(text, old, replaced)
	}
	templates, err := os.ReadFile(alertmanagerDir + "/templates/mlmonitor.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	am := rig.StartAlertmanager(t, map[string]string{"alertmanager.yml": text, "templates/mlmonitor.tmpl": string(templates)})
	post := func(alerts ...rig.Alert) {
		t.Helper()
		if err := am.Post(t.Context(), alerts...); err != nil {
			t.Fatal(err)
		}
	}
	const pages, tickets = "#fraud-pages", "#fraud-tickets"
	comes := func(alert, to, what string) message {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			for _, m := range r.about(alert, to) {
				if strings.Contains(m.text, what) {
					return m
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not told of %s, %q: %+v", to, alert, what, r.about("", to))
			}
		}
	}

	// It starts without keys, and what could not be sent comes when they are there.
	page := raised(t, "ScorerNotReady", "instance", "score-1")
	post(page)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if log, _ := os.ReadFile(am.Log); strings.Contains(string(log), "pagerduty_key") && strings.Contains(string(log), "slack_url") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log does not say which files are missing")
		}
	}
	r.setDown(true) // an answer that is none may make somebody log the address that was asked
	for name, secret := range map[string]string{"pagerduty_key": pagerKey + "\n", "slack_url": r.URL + slackPath + "\n"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); r.setDown(true) < 2 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
	}
	if r.setDown(false) == 0 {
		t.Fatal("nobody was asked while both were down")
	}

	woken := comes("ScorerNotReady", "pagerduty", "Summary of ScorerNotReady.")
	if woken.key != pagerKey || woken.state != "trigger" {
		t.Errorf("PagerDuty has %+v", woken)
	}
	told := comes("ScorerNotReady", pages, "Summary of ScorerNotReady.")
	for _, m := range []message{woken, told} {
		for _, link := range []string{"docs/runbook.md#scorernotready", "/d/mlmonitor-service"} {
			if !strings.Contains(m.text, link) {
				t.Errorf("%s is not led to %s: %s", m.to, link, m.text)
			}
		}
	}

	// A ticket wakes nobody, what a worse one says already does not come, and info is for the dashboard.
	drift := []string{"feature", "amount", "model_version", "1", "bundle", "sha256:1"}
	post(raised(t, "ModelDriftSevere", drift...))
	comes("ModelDriftSevere", "pagerduty", "/d/mlmonitor-drift")
	post(raised(t, "ModelDrift", drift...), raised(t, "ModelDriftSmall", drift...), raised(t, "DriftBlind", "model_version", "1"), raised(t, "ScoringHalted", "instance", "score-2"),
		raised(t, "ScorerNotReady", "instance", "score-2"))
	comes("ScoringHalted", "pagerduty", "/d/mlmonitor-quality")
	post(raised(t, "ModelDrift", "feature", "hour", "model_version", "1", "bundle", "sha256:1"))
	post(raised(t, "DeadLetters"))
	comes("docs/runbook.md#deadletters", tickets, "Summary of DeadLetters.")
	comes("docs/runbook.md#modeldrift", tickets, "Summary of ModelDrift.")

	// What is over is told where it was told.
	post(resolved(page), resolved(raised(t, "DeadLetters")))
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if slices.ContainsFunc(r.about("ScorerNotReady", "pagerduty"), func(m message) bool { return m.state == "resolve" && m.key == pagerKey }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("PagerDuty has %+v", r.about("ScorerNotReady", "pagerduty"))
		}
	}
	comes("Resolved: ScorerNotReady", pages, "good")
	comes("Resolved: DeadLetters", tickets, "good")

	for _, alert := range []string{"DeadLetters", "ModelDriftSmall", "DriftBlind", "Summary of ModelDrift."} {
		if m := r.about(alert, "pagerduty"); len(m) > 0 {
			t.Errorf("somebody was woken for %s: %+v", alert, m)
		}
	}
	for _, m := range r.about("ScorerNotReady", "pagerduty") {
		if strings.Contains(m.text, "ScorerNotReady (2)") {
			t.Errorf("what ScoringHalted says already came too: %s", m.text)
		}
	}
	for _, m := range r.about("Summary of ModelDrift.", tickets) {
		if strings.Contains(m.text, "(2)") {
			t.Errorf("what ModelDriftSevere says already came too: %s", m.text)
		}
	}
	for _, alert := range []string{"ModelDriftSmall", "DriftBlind"} {
		if m := slices.Concat(r.about(alert, pages), r.about(alert, tickets)); len(m) > 0 {
			t.Errorf("%s came: %+v", alert, m)
		}
	}
	log, err := os.ReadFile(am.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{pagerKey, "secretofthetest"} {
		if strings.Contains(string(log), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// Each alert that is sent leads to a dashboard that there is.
func TestAlertsLeadToDashboardsThatThereAre(t *testing.T) {
	templates, err := os.ReadFile(alertmanagerDir + "/templates/mlmonitor.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	boards, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(boards) == 0 {
		t.Fatal("no dashboards", err)
	}
	for _, path := range boards {
		uid := "mlmonitor-" + strings.TrimSuffix(filepath.Base(path), ".json")
		if !strings.Contains(string(templates), "}}"+uid+"\n") {
			t.Errorf("nothing leads to %s", uid)
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), `"uid": "`+uid+`"`) {
			t.Errorf("%s is not %s: %v", path, uid, err)
		}
	}
	known := map[string]bool{}
	for _, a := range alerts(t) {
		known[a.Alert] = true
	}
	for line := range strings.Lines(string(templates)) {
		_, list, found := strings.Cut(line, `match "^(`)
		if !found {
			continue
		}
		list, _, _ = strings.Cut(list, ")$")
		for _, name := range strings.Split(list, "|") {
			prefix, isPrefix := strings.CutSuffix(name, ".*")
			there := known[name]
			for a := range known {
				there = there || isPrefix && strings.HasPrefix(a, prefix)
			}
			if !there {
				t.Errorf("the template names %s, which is no alert", name)
			}
		}
	}
}
