package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveOps starts a server whose readiness is what ready says, and ends it with the test.
func serveOps(t *testing.T, ready func(context.Context) error) *opsServer {
	t.Helper()
	s, err := newOpsServer(&Config{OpsHost: "127.0.0.1"}, 0, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ready) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ends with %v", err)
		}
	})
	return s
}

func TestProfilesAreServedOnRequestOnly(t *testing.T) {
	for _, asked := range []bool{false, true} {
		s, err := newOpsServer(&Config{OpsHost: "127.0.0.1", OpsPprof: asked}, 0, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.listener.Close()
		for path, about := range map[string]string{"/debug/pprof/": "goroutine", "/debug/pprof/heap?debug=1": "heap profile"} {
			answer := httptest.NewRecorder()
			s.http.Handler.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
			if served := answer.Code != http.StatusNotFound; served != asked || asked && !strings.Contains(answer.Body.String(), about) {
				t.Errorf("OPS_PPROF=%v: %s answers %d", asked, path, answer.Code)
			}
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestReadinessSaysWhy(t *testing.T) {
	var reason error
	s := serveOps(t, func(context.Context) error { return reason })
	if code, body := get(t, s.URL()+"/ready"); code != 200 || body != "ready\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	if _, body := get(t, s.URL()+"/metrics"); !strings.Contains(body, "\nmlmonitor_ready 1\n") {
		t.Error("mlmonitor_ready is not 1")
	}
	reason = errors.New("no broker answers")
	if code, body := get(t, s.URL()+"/ready"); code != 503 || !strings.Contains(body, "no broker answers") {
		t.Errorf("not ready: %d %q", code, body)
	}
	if code, _ := get(t, s.URL()+"/health"); code != 200 {
		t.Errorf("health of a role that is not ready: %d", code)
	}
	_, body := get(t, s.URL()+"/metrics")
	for _, want := range []string{"\nmlmonitor_ready 0\n", `http_requests_total{code="503",path="/ready"} 1`, `http_requests_total{code="200",path="/health"} 1`, "go_goroutines", "process_open_fds"} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
}

func TestOnlyWhatIsServedIsServed(t *testing.T) {
	s := serveOps(t, func(context.Context) error { return nil })
	if code, _ := get(t, s.URL()+"/secret"); code != 404 {
		t.Errorf("/secret answers %d", code)
	}
	resp, err := http.Post(s.URL()+"/health", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", resp.StatusCode)
	}
	if h := s.http; h.ReadHeaderTimeout == 0 || h.ReadTimeout == 0 || h.WriteTimeout == 0 || h.IdleTimeout == 0 {
		t.Error("a timeout is not set")
	}
}

// TestAnAnswerThatBeganIsFinished: a stop does not cut off who is being answered, and nobody is answered after it.
func TestAnAnswerThatBeganIsFinished(t *testing.T) {
	s, err := newOpsServer(&Config{OpsHost: "127.0.0.1"}, 0, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.grace = time.Minute
	asked, answer := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	done, body := make(chan error, 1), make(chan string, 1)
	go func() {
		done <- s.Serve(ctx, func(context.Context) error {
			close(asked)
			<-answer
			return nil
		})
	}()
	go func() {
		resp, err := http.Get(s.URL() + "/ready")
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		body <- string(text)
	}()
	<-asked
	cancel()
	select {
	case err := <-done:
		t.Fatalf("the server ends before its answer, with %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(answer)
	if got := <-body; got != "ready\n" {
		t.Errorf("the answer that had begun is %q", got)
	}
	if err := <-done; err != nil {
		t.Errorf("the server ends with %v", err)
	}
	if _, err := http.Get(s.URL() + "/health"); err == nil {
		t.Error("a server that ended answers")
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	s := serveOps(t, func(context.Context) error { return nil })
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL(), "http://"), ":")
	n := 0
	for _, c := range port {
		n = 10*n + int(c-'0')
	}
	if _, err := newOpsServer(&Config{OpsHost: "127.0.0.1"}, n, slog.Default()); err == nil || !strings.Contains(err.Error(), "OPS_PORT") {
		t.Errorf("got %v", err)
	}
}
