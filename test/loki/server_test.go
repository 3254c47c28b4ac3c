package loki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v2"
)

var program = filepath.Join(root, ".cache/loki/loki") // make test-loki builds it

func TestLokiVerifiesItsConfiguration(t *testing.T) {
	file := filepath.Join(root, "deploy/loki/loki.yml")
	if out, err := exec.CommandContext(t.Context(), program, "-config.file="+file, "-verify-config").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "loki.yml")
	if err := os.WriteFile(broken, bytes.Replace(text, []byte("retention_enabled"), []byte("retention_enabld"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "-config.file="+broken, "-verify-config").CombinedOutput(); err == nil {
		t.Errorf("a misspelt key passes: %s", out)
	}
}

// client waits for a bounded time: a Loki whose parts do not find one another never answers.
var client = &http.Client{Timeout: time.Minute}

// server is a Loki with the configuration of deploy/loki; only where it listens and its directory are others.
type server struct{ address string }

func start(t *testing.T) server {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/loki.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "loki.yml")
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("/var/lib/loki"), []byte(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	var ports [2]string
	var held []net.Listener // so that none is found twice
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
		held = append(held, l)
	}
	for _, l := range held {
		l.Close()
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "-config.file="+file, "-server.http-listen-address=127.0.0.1", "-server.http-listen-port="+ports[0],
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port="+ports[1])
	cmd.Stdout, cmd.Stderr = &log, &log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err == nil {
			t.Logf("memory: %s", regexp.MustCompile(`VmHWM.*`).Find(status))
		}
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			<-ended
			t.Error("Loki does not end")
		}
		if t.Failed() {
			t.Logf("Loki wrote\n%s", log.String())
		}
	})
	s := server{"http://127.0.0.1:" + ports[0]}
	for {
		if response, err := http.Get(s.address + "/ready"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				t.Logf("ready in %v", time.Since(began).Round(time.Second/10))
				return s
			}
		}
		select {
		case <-ended:
			t.Fatal("Loki ended")
		case <-time.After(200 * time.Millisecond):
		}
		if time.Since(began) > 2*time.Minute {
			t.Fatal("Loki is not ready")
		}
	}
}

// push sends one line, and gives Loki's answer.
func (s server) push(t *testing.T, labels map[string]string, at time.Time, line string) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": labels, "values": [][2]string{{strconv.FormatInt(at.UnixNano(), 10), line}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Post(s.address+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

func (s server) get(t *testing.T, path string, of url.Values) []byte {
	t.Helper()
	response, err := client.Get(s.address + path + "?" + of.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %v %s", path, of, response.StatusCode, err, text)
	}
	return text
}

// result is a stream of a query, whose values are time and line, or a series, whose values are time and number.
type result struct {
	Stream map[string]string
	Metric map[string]string
	Values [][2]any
}

func (s server) query(t *testing.T, text string) []result {
	t.Helper()
	var answer struct{ Data struct{ Result []result } }
	now := time.Now()
	of := url.Values{"query": {text}, "limit": {"5000"}, "step": {"1h"}, "end": {strconv.FormatInt(now.UnixNano(), 10)}}
	of.Set("start", strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10))
	if err := json.Unmarshal(s.get(t, "/loki/api/v1/query_range", of), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Result
}

// lines gives what a query finds, by the nanosecond.
func (s server) lines(t *testing.T, text string) map[int64]string {
	t.Helper()
	found := map[int64]string{}
	for _, r := range s.query(t, text) {
		for _, v := range r.Values {
			at, err := strconv.ParseInt(v[0].(string), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			found[at] = v[1].(string)
		}
	}
	return found
}

// agent is what config.alloy makes of a line: its labels, and its own time.
func agent(t *testing.T, line string) (map[string]string, time.Time) {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	labels := map[string]string{}
	for _, name := range given(t, "labels") {
		labels[name], _ = fields[name].(string)
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(fields["time"]))
	if err != nil {
		t.Fatal(err)
	}
	return labels, at
}

// All on one Loki, which takes a quarter of a minute to be ready.
func TestARealLokiAnswersTheQueries(t *testing.T) {
	real := written(t)
	s := start(t)
	all := map[int64]string{} // what was pushed, by its time: no two have the same
	send := func(line string) int64 {
		t.Helper()
		labels, at := agent(t, line)
		if other, twice := all[at.UnixNano()]; twice {
			t.Fatalf("%s and %s are of one nanosecond", other, line)
		}
		if status, text := s.push(t, labels, at, line); status != http.StatusNoContent {
			t.Fatalf("%d %s: %s", status, text, line)
		}
		all[at.UnixNano()] = line
		return at.UnixNano()
	}
	for _, line := range real {
		send(line)
	}
	age := time.Now().Add(-time.Minute)
	want := map[string]map[int64]bool{} // by query: must it find what was written then?
	for _, q := range queries(t) {
		want[q.text] = map[int64]bool{}
		for _, e := range examples(t, q) {
			age = age.Add(-time.Millisecond)
			want[q.text][send(e.line(age))] = e.found
		}
	}
	// An overlong line of a scorer is cut, and then no JSON: no query may stumble over it.
	age = age.Add(-time.Millisecond)
	long := send(fmt.Sprintf(`{"time":%q,"level":"ERROR","role":"score","instance":"x-1","msg":"overlong","error":%q}`, age.Format(time.RFC3339Nano), strings.Repeat("x", 70<<10)))

	found := map[string]map[int64]string{}
	for _, q := range queries(t) {
		if strings.HasPrefix(q.text, "topk") {
			continue
		}
		found[q.text] = s.lines(t, q.text)
		for at, must := range want[q.text] {
			if _, is := found[q.text][at]; is != must {
				t.Errorf("%s finds: %v, must: %v, %s", q.text, is, must, all[at])
			}
		}
		// Of all that was pushed, also for other queries, it finds what the pipeline alone finds.
		e := selector(t, q.text)
		for at, line := range all {
			if at == long {
				continue
			}
			if _, is := found[q.text][at]; is != chosen(t, e, line) {
				t.Errorf("%s finds in Loki: %v, without it: %v, %s", q.text, is, !is, line)
			}
		}
	}
	for _, entry := range []string{"ScorerDown", "ScorerNotReady", "AuditDown"} {
		for _, q := range queries(t) {
			if q.entries[0] != entry {
				continue
			}
			if !slices.ContainsFunc(real, func(line string) bool {
				_, at := agent(t, line)
				_, is := found[q.text][at.UnixNano()]
				return is
			}) {
				t.Errorf("of what the roles wrote, the query of %s finds nothing", entry)
			}
		}
	}
	t.Run("form", func(t *testing.T) { // of the only query that writes lines anew
		for _, q := range queries(t) {
			if q.entries[0] != "ScorerNotReady" {
				continue
			}
			for at, line := range found[q.text] {
				var of struct{ Instance, Msg, Error string }
				if err := json.Unmarshal([]byte(all[at]), &of); err != nil {
					t.Fatal(err)
				}
				if want := of.Instance + " " + of.Msg + ": " + of.Error; line != want {
					t.Errorf("%q, not %q", line, want)
				}
			}
		}
	})
	t.Run("counts", func(t *testing.T) {
		counts := map[string]int{}
		for at, line := range all {
			var of struct{ Role, Level, Msg string }
			if err := json.Unmarshal([]byte(line), &of); err != nil {
				t.Fatal(err)
			}
			if at != long && of.Role == "score" && (of.Level == "WARN" || of.Level == "ERROR") {
				counts[of.Msg]++
			}
		}
		counts["overlong"]++ // what stands before the cut is read
		most := slices.Sorted(maps.Values(counts))
		slices.Reverse(most)
		most = most[:min(10, len(most))]
		for _, q := range queries(t) {
			if !strings.HasPrefix(q.text, "topk") {
				continue
			}
			var have []int
			for _, r := range s.query(t, q.text) {
				n, err := strconv.Atoi(r.Values[len(r.Values)-1][1].(string))
				if err != nil || n != counts[r.Metric["msg"]] {
					t.Errorf("%s: %v %d, not %d", r.Metric, err, n, counts[r.Metric["msg"]])
				}
				have = append(have, n)
			}
			slices.Sort(have)
			slices.Reverse(have)
			if !slices.Equal(have, most) {
				t.Errorf("%s gives %v, not %v", q.text, have, most)
			}
		}
	})
	t.Run("labels", func(t *testing.T) {
		var answer struct{ Data []string }
		if err := json.Unmarshal(s.get(t, "/loki/api/v1/labels", nil), &answer); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(answer.Data, []string{"instance", "level", "role"}) {
			t.Errorf("labels are %s", answer.Data)
		}
	})
	t.Run("limits", func(t *testing.T) {
		line := func(extra string) (map[string]string, time.Time, string) {
			at := time.Now()
			line := fmt.Sprintf(`{"time":%q,"level":"INFO","role":"limits","instance":"x-1","msg":"m"%s}`, at.Format(time.RFC3339Nano), extra)
			labels, at := agent(t, line)
			return labels, at, line
		}
		refused := func(labels map[string]string, at time.Time, text, why string) {
			t.Helper()
			if status, answer := s.push(t, labels, at, text); status != http.StatusBadRequest || !strings.Contains(answer, why) {
				t.Errorf("%d %s, not 400 for %s", status, answer, why)
			}
		}
		labels, at, text := line(`,"event_id":"0197"`)
		labels["event_id"] = "0197"
		refused(labels, at, text, "has 4 label names")
		delete(labels, "event_id")
		refused(labels, at.Add(-169*time.Hour), text, "timestamp too old")
		refused(labels, at.Add(time.Hour), text, "timestamp too new")
		if have := s.lines(t, `{role="limits"}`); len(have) != 0 {
			t.Errorf("what was refused is there: %v", have)
		}
		cut := s.lines(t, `{role="score"} |= "overlong"`)[long]
		if len(cut) != 64<<10 || !strings.HasPrefix(all[long], cut) {
			t.Errorf("of a line of %d bytes, Loki has %d", len(all[long]), len(cut))
		}
	})
	t.Run("retention", func(t *testing.T) {
		var in struct {
			Limits struct {
				Retention model.Duration `yaml:"retention_period"`
			} `yaml:"limits_config"`
			Compactor struct {
				Enabled bool   `yaml:"retention_enabled"`
				Store   string `yaml:"delete_request_store"`
			}
		}
		if err := yaml.Unmarshal(s.get(t, "/config", nil), &in); err != nil {
			t.Fatal(err)
		}
		if time.Duration(in.Limits.Retention) != 31*24*time.Hour || !in.Compactor.Enabled || in.Compactor.Store != "filesystem" {
			t.Errorf("in force: %+v", in)
		}
	})
}
