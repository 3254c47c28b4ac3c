package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestTransactionsAreDecidedOverHTTP: two API instances, two scorers, the audit. Clients ask, and ask again until they have a verdict, while scorers and APIs are killed. Each gets a verdict that stands on
// the topic, byte for byte, and in the audit.
func TestTransactionsAreDecidedOverHTTP(t *testing.T) {
	s := newStack(t)
	traces := newCollector(t)
	s.env = append(s.env, traces.env()...)
	var scorers, apis []*process
	var urls []string
	for i := range 2 {
		scorers = append(scorers, s.score(t, fmt.Sprintf("score-%d", i), rig.FreePort(t)))
		port := rig.FreePort(t)
		apis = append(apis, supervise(t, "api", fmt.Sprintf("api-%d", i), rig.FreePort(t), append(s.env, "API_AUTH=off", "API_DATABASE_URL="+s.db.ReaderURL, fmt.Sprintf("API_PORT=%d", port), "API_CLIENT_RATE=100000", "API_TIMEOUT=30s")))
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	s.audit(t, "audit-1", rig.FreePort(t)).becomesReady(t)
	for _, p := range append(scorers, apis...) {
		p.becomesReady(t)
	}
	const clients, each = 8, 100
	events := filepath.Join(t.TempDir(), "events.jsonl")
	mustRun(t, nil, "produce", "--count", fmt.Sprint(clients*each), "--customers", "200", "--out", events)
	text, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	client := &http.Client{Timeout: time.Minute}
	// ask asks again until there is a verdict; another instance each time.
	ask := func(event []byte, n int) ([]byte, error) {
		last := ""
		for try := 0; try < 60; try++ {
			resp, err := client.Post(urls[(n+try)%2]+"/predict", "application/json", bytes.NewReader(event))
			if err == nil {
				body, readErr := io.ReadAll(resp.Body)
				resp.Body.Close()
				if readErr == nil && resp.StatusCode == http.StatusOK {
					return body, nil
				}
				if last = string(body); resp.StatusCode == http.StatusUnprocessableEntity || resp.StatusCode == http.StatusInternalServerError {
					return nil, fmt.Errorf("status %d: %s", resp.StatusCode, body)
				}
			} else {
				last = err.Error()
			}
			time.Sleep(500 * time.Millisecond)
		}
		return nil, fmt.Errorf("no verdict at last: %s", last)
	}
	var mu sync.Mutex
	got := map[string]string{} // verdict by transaction id
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range each {
				body, err := ask(lines[c*each+i], c)
				if err != nil {
					t.Error(err)
					return
				}
				v, err := schemas.ParseVerdict(body)
				if err != nil {
					t.Errorf("%v: %s", err, body)
					return
				}
				mu.Lock()
				got[string(v.TransactionID)] = string(body)
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Second)
	scorers[0].kill()
	time.Sleep(2 * time.Second)
	apis[1].kill()
	time.Sleep(2 * time.Second)
	scorers[1].kill()
	time.Sleep(2 * time.Second)
	if err := s.kafka.Kill(0); err != nil { // between requests and their answers
		t.Fatal(err)
	}
	if err := s.kafka.Restart(0); err != nil {
		t.Fatal(err)
	}
	s.unblock(t, all.Wait)
	if len(got) != clients*each {
		t.Fatalf("%d transactions have a verdict, %d were asked for", len(got), clients*each)
	}
	// Every answer stands on the topic; every input, asked twice or not, has one answer and one row.
	onTopic := map[string][]string{}
	whole, err := kafka.Settled(t.Context(), &s.topics, s.topics.Verdicts, patience)
	if err == nil {
		err = kafka.Read(t.Context(), &s.topics, s.topics.Verdicts, whole, func(r *kafka.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			onTopic[string(v.TransactionID)] = append(onTopic[string(v.TransactionID)], string(r.Value))
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	twice := 0
	for id, body := range got {
		found := false
		for _, one := range onTopic[id] {
			found = found || one == body
		}
		if !found {
			t.Errorf("%s was answered with %s, on the topic stands %v", id, body, onTopic[id])
		}
		if len(onTopic[id]) > 1 {
			twice++
		}
	}
	eventually(t, "every input has one answer, and one row", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && int64(s.count(t.Context())) == found.Verdicts
	})
	t.Logf("%d of %d transactions were published twice: an API that was killed does not know what it had published", twice, len(got))

	// An API that knows nothing finds them in the audit, and publishes none again.
	apis[0].kill()
	apis[0].becomesReady(t)
	unlooked := func() (n float64) {
		for _, p := range apis {
			n += counter(t, p, "_audit_unlooked_total")
		}
		return n
	}
	before, unlookedBefore, others := s.verdicts(t), unlooked(), 0
	for id := range got {
		n := 0
		if _, err := fmt.Sscanf(id, "tx-%d", &n); err != nil {
			t.Fatal(err)
		}
		body, err := ask(lines[n], 0)
		if err != nil {
			t.Errorf("%s asked again: %v", id, err)
		}
		if !slices.Contains(onTopic[id], string(body)) {
			others++
		}
		if n%50 != 0 {
			continue
		}
		resp, err := client.Get(urls[0] + "/verdicts/" + id)
		if err != nil {
			t.Fatal(err)
		}
		found, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(found), onTopic[id][0]) {
			t.Errorf("%s is found as %d %s, %v", id, resp.StatusCode, found, err)
		}
	}
	// Where the audit does not say in time whether it has a transaction, that is published: then there is another verdict, and a marker of its commit.
	if n := int(unlooked() - unlookedBefore); others > n || s.verdicts(t)-before > int64(2*n) {
		t.Errorf("%d transactions have another verdict, %d offsets of the topic are new, while %d were published without a look into the audit", others, s.verdicts(t)-before, n)
	}

	snippets(t, urls[0], lines[0], onTopic)
	traced(t, traces, urls[0])

	atOnce(t, urls)
	idle(t, apis[1], urls[1], lines[1])

	// What a contract refuses, what if, and the auditor.
	resp, err := client.Post(urls[0]+"/predict", "application/json", strings.NewReader(`{"transaction_id":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var problem struct{ Class string }
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || resp.StatusCode != 422 || problem.Class == "" {
		t.Errorf("status %d, %+v, %v", resp.StatusCode, problem, err)
	}
	if out := mustRun(t, s.env, "replay", "--verify"); strings.Contains(out, "DIFFERS") {
		t.Errorf("replay says %s", out)
	}
}

// atOnce has two instances asked for the same transactions at the same moment: each answers with a verdict that the audit has, and whoever asks afterwards, an instance that knows nothing of it too, gets one of them.
func atOnce(t *testing.T, urls []string) {
	t.Helper()
	events := filepath.Join(t.TempDir(), "more.jsonl")
	mustRun(t, nil, "produce", "--count", "30", "--first", "100000", "--customers", "200", "--out", events)
	text, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string, event []byte) string {
		resp, err := http.Post(url+"/predict", "application/json", bytes.NewReader(event))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s %v", resp.StatusCode, body, err)
		}
		return string(body)
	}
	twice := 0
	for event := range bytes.Lines(text) {
		var answers [2]string
		var both sync.WaitGroup
		for i, url := range urls {
			both.Go(func() { answers[i] = ask(url, event) })
		}
		both.Wait()
		v, err := schemas.ParseVerdict([]byte(answers[0]))
		if err != nil {
			t.Fatal(err)
		}
		var recorded string
		eventually(t, "the audit has both", func() bool {
			_, recorded = fetch(t, urls[0]+"/verdicts/"+string(v.TransactionID))
			return strings.Contains(recorded, answers[0]) && strings.Contains(recorded, answers[1])
		})
		if answers[0] != answers[1] {
			twice++
		}
		if again := ask(urls[0], event); again != answers[0] {
			t.Errorf("asked again, the first says %s, before %s", again, answers[0])
		}
	}
	t.Logf("%d of 30 transactions that two instances got at once were published twice", twice)
}

// idle holds ten thousand connections open that ask nothing more, and has a transaction decided beside them.
func idle(t *testing.T, server *process, url string, event []byte) {
	t.Helper()
	const connections, most = 10_000, 400 << 20
	var open syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &open); err != nil || open.Cur < connections+500 {
		t.Fatalf("%d files may be open, %v: raise ulimit -n", open.Cur, err)
	}
	before := server.resident(t)
	address := strings.TrimPrefix(url, "http://")
	for i := range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	resp, err := http.Post(url+"/predict", "application/json", bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("beside %d idle connections: status %d", connections, resp.StatusCode)
	}
	grown := server.resident(t) - before
	t.Logf("%d idle connections take %d MiB", connections, grown>>20)
	if grown > most {
		t.Errorf("that is more than %d MiB", most>>20)
	}
}

// snippets runs those of the README, each in a folder with the transaction.
func snippets(t *testing.T, url string, event []byte, onTopic map[string][]string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "## Ask over HTTP")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("the README has no such section")
	}
	v, err := schemas.ParseVerdict([]byte(onTopic["tx-000000000000"][0]))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for language, command := range map[string][]string{"sh": {"sh", "snippet.sh"}, "python": {"python3", "snippet.py"}, "go": {"go", "run", "snippet.go"}} {
		_, code, _ := strings.Cut(section, "```"+language+"\n")
		code, _, ok := strings.Cut(code, "```")
		if !ok {
			t.Errorf("there is no snippet of %s", language)
			continue
		}
		dir := t.TempDir()
		for name, text := range map[string]string{"transaction.json": string(event), command[len(command)-1]: strings.ReplaceAll(code, "http://127.0.0.1:8000", url)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), string(v.Decision)) || !strings.Contains(string(out), strconv.FormatFloat(v.Probability, 'g', -1, 64)) {
			t.Errorf("%s: %v\n%s", language, err, out)
		}
		ran++
	}
	if ran != 3 {
		t.Errorf("%d snippets", ran)
	}
}
