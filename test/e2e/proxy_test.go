package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestARollingRestartFailsNoRequest: three API replicas behind the shipped nginx, asked all the time over TLS. Each replica is restarted, one is killed, and the certificate is replaced: every request is
// answered with a verdict.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	s := newStack(t)
	s.score(t, "score-0", rig.FreePort(t)).becomesReady(t)
	s.audit(t, "audit-0", rig.FreePort(t)).becomesReady(t)
	var replicas []*process
	var addresses []string
	for i := range 3 {
		port := rig.FreePort(t)
		p := supervise(t, "api", fmt.Sprintf("api-%d", i), rig.FreePort(t), append(s.env, "API_AUTH=off", "API_TRUSTED_PROXIES=127.0.0.0/8", "API_DATABASE_URL="+s.db.ReaderURL, "API_TIMEOUT=25s", fmt.Sprintf("API_PORT=%d", port)))
		replicas = append(replicas, p)
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	for _, p := range replicas {
		p.becomesReady(t)
	}
	before, caFile := rig.Certificate(t, t.TempDir(), false)
	after, newCAFile := rig.Certificate(t, t.TempDir(), false)
	cert, key := rig.PEM(t, before)
	page, grafana := newPage(t)
	proxy := rig.Nginx(t, cert, key, grafana, addresses...)
	roots := x509.NewCertPool()
	for _, file := range []string{caFile, newCAFile} {
		pem, err := os.ReadFile(file)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("%s: %v", file, err)
		}
	}

	const clients = 8
	transactions, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan []byte)
	stop := make(chan struct{})
	go func() {
		defer close(lines)
		for {
			select {
			case lines <- transactions.Next(nil).Value:
			case <-stop:
				return
			}
		}
	}()
	var answered, failed atomic.Int64
	var mu sync.Mutex
	serials := map[string]int{} // certificates that clients saw
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			// Half of them over HTTP/2. Over HTTP/1.1 a server may close an idle connection just when a request is on its way; Go sends it again if it may.
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", VerifyConnection: func(c tls.ConnectionState) error {
				mu.Lock()
				defer mu.Unlock()
				serials[string(c.PeerCertificates[0].Raw)]++
				return nil
			}}, ForceAttemptHTTP2: i%2 == 0}}
			for event := range lines {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy.URL+"/predict", bytes.NewReader(event))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header["Content-Type"], req.Header["Idempotency-Key"] = []string{"application/json"}, nil // it may; nil is not sent
				resp, err := client.Do(req)
				if err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if _, parse := schemas.ParseVerdict(body); err != nil || resp.StatusCode != http.StatusOK || parse != nil {
					failed.Add(1)
					t.Errorf("a request failed: %d %s %v", resp.StatusCode, body, err)
				}
				if answered.Add(1)%100 == 0 {
					client.CloseIdleConnections() // some come anew, as from elsewhere
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	pass := func(what string) {
		t.Helper()
		from := answered.Load()
		eventually(t, "requests after "+what, func() bool { return answered.Load() > from+200 })
	}
	pass("the start")
	for _, p := range replicas {
		p.restart(t)
		p.becomesReady(t)
		pass("a restart")
	}
	cert, key = rig.PEM(t, after)
	if err := proxy.Rotate(cert, key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return serials[string(after.Certificate[0])] > 0
	})
	pass("another certificate")
	replicas[1].kill()
	replicas[1].becomesReady(t)
	pass("a kill -9")
	close(stop)
	all.Wait()
	if failed.Load() != 0 || answered.Load() < 1000 {
		t.Errorf("%d of %d requests failed", failed.Load(), answered.Load())
	}
	eventually(t, "every input has one answer, and one row", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && int64(s.count(t.Context())) == found.Verdicts
	})
	found, err := app.Reconcile(t.Context(), &s.topics)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests, %d inputs: those that the killed replica had published came again", answered.Load(), found.Transactions)

	// The rest of what the proxy promises.
	still := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if resp, err := still.Get(proxy.HTTP + "/page?x=1"); err != nil || resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "https://127.0.0.1/page?x=1" {
		t.Errorf("in clear: %v, %v", resp, err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "event: past\n" || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the stream through the proxy: %q, %v, %v", line, err, resp.Header)
	}
	page.through(t, client, proxy.Grafana)
	codes := map[int]int{}
	for _, p := range replicas { // nobody is there
		p.stop()
	}
	for range 3 {
		resp, err := client.Get(proxy.URL + "/model/info")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if codes[resp.StatusCode]++; resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("without a replica: %v", resp.Header)
		}
	}
	if codes[http.StatusServiceUnavailable] != 3 {
		t.Errorf("without a replica: %v", codes)
	}
}

// page stands where Grafana does, and keeps what it is asked.
type page struct{ asked chan *http.Request }

// newPage starts one; it ends with the test.
func newPage(t *testing.T) (p page, address string) {
	t.Helper()
	p = page{make(chan *http.Request, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked <- r
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler) // it may have been done, or not
		}
		if r.Header.Get("Upgrade") == "websocket" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	}))
	t.Cleanup(server.Close)
	return p, server.Listener.Addr().String()
}

// through asks it through the proxy as browsers ask Grafana.
func (p page) through(t *testing.T, client *http.Client, url string) {
	t.Helper()
	ask := func(method, path, upgrade string) (*http.Response, *http.Request) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "192.0.2.1") // a client says that of itself
		if upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", upgrade)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp, <-p.asked
	}
	resp, got := ask(http.MethodGet, "/d/service?orgId=1", "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") == "" || got.RequestURI != "/d/service?orgId=1" {
		t.Errorf("%d, %v; Grafana is asked for %s", resp.StatusCode, resp.Header, got.RequestURI)
	}
	if "https://"+got.Host != url || got.Header.Get("X-Forwarded-Proto") != "https" || got.Header.Get("X-Forwarded-For") != "127.0.0.1" || got.Header.Get("Upgrade") != "" {
		t.Errorf("Grafana is told %s, %v", got.Host, got.Header)
	}
	if resp, got := ask(http.MethodGet, "/api/live/ws", "websocket"); resp.StatusCode != http.StatusSwitchingProtocols || got.Header.Get("Upgrade") != "websocket" || got.Header.Get("Connection") != "upgrade" {
		t.Errorf("a web socket: %d, Grafana is told %v", resp.StatusCode, got.Header)
	}
	if resp, _ := ask(http.MethodPost, "/broken", ""); resp.StatusCode != http.StatusBadGateway || len(p.asked) != 0 {
		t.Errorf("a request that broke: %d, asked for %d times more", resp.StatusCode, len(p.asked))
	}
}
