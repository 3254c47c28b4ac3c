package e2e

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes traces by OTLP over HTTP, as OpenTelemetry's does (https://opentelemetry.io/docs/specs/otlp/#otlphttp).
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string]map[string]*tracepb.Span // by trace and by service.name
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{spans: map[string]map[string]*tracepb.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got collectorpb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("the collector got %s %s %v: %v", r.Method, r.URL, r.Header, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range got.ResourceSpans {
			service := ""
			for _, a := range of.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					id := hex.EncodeToString(span.TraceId)
					if c.spans[id] == nil {
						c.spans[id] = map[string]*tracepb.Span{}
					}
					c.spans[id][service] = span
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// env has roles send it what their callers trace, soon.
func (c *collector) env() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_TRACES_SAMPLER=parentbased_always_off", "OTEL_BSP_SCHEDULE_DELAY=100"}
}

// of gives the spans of a trace by service.
func (c *collector) of(trace string) map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]*tracepb.Span{}
	for service, span := range c.spans[trace] {
		all[service] = span
	}
	return all
}

// traces is how many traces there are.
func (c *collector) traces() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spans)
}

// traced asks for one transaction whose caller keeps its trace, and for one whose caller does not: of the first, each role tells.
func traced(t *testing.T, c *collector, url string) {
	t.Helper()
	if n := c.traces(); n != 0 {
		t.Errorf("%d traces of requests that nobody traces", n)
	}
	events := filepath.Join(t.TempDir(), "traced.jsonl")
	mustRun(t, nil, "produce", "--count", "2", "--first", "200000", "--customers", "200", "--out", events)
	text, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	const kept, caller, other = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "1af7651916cd43dd8448eb211c80319c"
	for i, event := range bytes.SplitN(bytes.TrimSpace(text), []byte("\n"), 2) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/predict", bytes.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("traceparent", []string{"00-" + other + "-" + caller + "-00", "00-" + kept + "-" + caller + "-01"}[i])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	eventually(t, "each role tells of the transaction", func() bool { return len(c.of(kept)) == 3 })
	spans := c.of(kept)
	api, score, audit := spans["mlmonitor-api"], spans["mlmonitor-score"], spans["mlmonitor-audit"]
	if api == nil || score == nil || audit == nil {
		t.Fatalf("spans %v", spans)
	}
	if hex.EncodeToString(api.ParentSpanId) != caller || !bytes.Equal(score.ParentSpanId, api.SpanId) || !bytes.Equal(audit.ParentSpanId, api.SpanId) {
		t.Errorf("the request must be the caller's child, what becomes of it the request's: %v", spans)
	}
	if api.Name != "POST predict" || score.Name != "score transactions" || audit.Name != "audit verdicts" || api.Kind != tracepb.Span_SPAN_KIND_SERVER || score.Kind != tracepb.Span_SPAN_KIND_CONSUMER {
		t.Errorf("spans %v", spans)
	}
	for _, span := range spans {
		if span.StartTimeUnixNano == 0 || span.EndTimeUnixNano <= span.StartTimeUnixNano {
			t.Errorf("%s lasts from %d to %d", span.Name, span.StartTimeUnixNano, span.EndTimeUnixNano)
		}
	}
	// The answer may be with the caller before the scorer has heard that its commit is done.
	if score.StartTimeUnixNano < api.StartTimeUnixNano || score.StartTimeUnixNano > api.EndTimeUnixNano {
		t.Error("the transaction was read before its request came, or after it was answered")
	}
	if n := c.traces(); n != 1 {
		t.Errorf("%d traces, one is kept", n)
	}
}
