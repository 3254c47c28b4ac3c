package tracing

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const sampled, unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

func record(traceparent string) *kgo.Record {
	return &kgo.Record{Topic: "transactions", Partition: 3, Offset: 7, Headers: []kgo.RecordHeader{{Key: "other", Value: []byte("x")}, {Key: "traceparent", Value: []byte(traceparent)}}}
}

func TestTheSendersFlagSaysWhatIsSampled(t *testing.T) {
	for header, want := range map[string]bool{sampled: true, unsampled: false, sampled[:54] + "3": true, sampled[:54] + "f": true, sampled[:54] + "e": false, sampled[:54]: false, "": false, "1": false, strings.Repeat("1", 1<<16): true} {
		if got := Sampled(record(header)); got != want {
			t.Errorf("%.80q: %t", header, got)
		}
	}
	if Sampled(&kgo.Record{}) {
		t.Error("a record without headers is sampled")
	}
	r := record(sampled)
	if n := testing.AllocsPerRun(100, func() { Sampled(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// start has spans sent to a collector that answers with a status; got counts those that came.
func start(t *testing.T, status int) (got *atomic.Int64, stop func(context.Context) error, reg *prometheus.Registry) {
	t.Helper()
	got = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request collectorpb.ExportTraceServiceRequest
		if body, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(body, &request) != nil {
			t.Errorf("the collector cannot read %q, %v", body, err)
		}
		for _, of := range request.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				got.Add(int64(len(scope.Spans)))
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	reg = prometheus.NewRegistry()
	stop, err := Start(Identity{Role: "score", Instance: "score-1", Version: "test"}, slog.New(slog.DiscardHandler), reg) // the SDK may log when the test has ended
	if err != nil {
		t.Fatal(err)
	}
	return got, stop, reg
}

// counts are those of a registry.
func counts(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "mlmonitor_trace_spans_total" {
		t.Fatalf("%v, %v", families, err)
	}
	all := map[string]float64{}
	for _, m := range families[0].Metric {
		all[m.Label[0].GetValue()] = m.Counter.GetValue()
	}
	return all
}

func TestSpansAreSentAndCounted(t *testing.T) {
	for status, want := range map[int]map[string]float64{
		http.StatusOK:        {"exported": 2, "failed": 0, "limited": 0},
		http.StatusForbidden: {"exported": 0, "failed": 2, "limited": 0},
	} {
		got, stop, reg := start(t, status)
		if !On() {
			t.Error("nobody traces")
		}
		now := time.Now()
		Processed(record(sampled), "score", "group", now.Add(-time.Second), now)
		Processed(record(unsampled), "score", "group", now.Add(-time.Second), now) // its sender does not keep it
		Processed(record("1"), "score", "group", now.Add(-time.Second), now)       // is none
		Processed(record(sampled), "score", "group", now.Add(-time.Second), now)
		if err := stop(t.Context()); err != nil && status == http.StatusOK {
			t.Error(err)
		}
		if got.Load() != 2 || On() {
			t.Errorf("status %d: %d spans came, still traced: %t", status, got.Load(), On())
		}
		if found := counts(t, reg); !maps.Equal(found, want) {
			t.Errorf("status %d: %v, want %v", status, found, want)
		}
		Processed(record(sampled), "score", "group", now, now) // to nobody
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	reg := prometheus.NewRegistry()
	stop, err := Start(Identity{}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		Processed(record(sampled), "score", "group", time.Now(), time.Now())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	stop(ctx) // it may say that spans are lost, or have lost them before
	if On() {
		t.Error("still traced")
	}
	if found := counts(t, reg); found["exported"] != 0 {
		t.Errorf("counted: %v", found)
	}
}

// A producer that samples everything gets its thousand a second, and costs no more than these.
func TestWhoSamplesEverythingGetsAThousandASecond(t *testing.T) {
	_, stop, reg := start(t, http.StatusOK)
	defer stop(t.Context())
	const n = 20_000
	r := record(sampled)
	begin := time.Now()
	for range n {
		Processed(r, "score", "group", begin, begin)
	}
	least := n - atOnce - 1 - float64(perSecond)*time.Since(begin).Seconds()
	if found := counts(t, reg); found["limited"] < least || found["limited"] > n-atOnce {
		t.Errorf("%v of %d are limited, at least %v must be", found["limited"], n, least)
	}
	current.Load().limit.SetLimit(0)
	current.Load().limit.SetBurst(0)
	if allocated := testing.AllocsPerRun(100, func() { Processed(r, "score", "group", begin, begin) }); allocated != 0 {
		t.Errorf("a span that is not made costs %v allocations", allocated)
	}
}

// A tracestate comes from anybody. What is none, and what is too long, is left out; the trace goes on.
func TestAHostileTracestateIsLeftOut(t *testing.T) {
	got, stop, _ := start(t, http.StatusOK)
	for _, state := range []string{strings.Repeat("a", 1<<20), strings.Repeat("a=b,", 1<<18), "\x00=\xff", "=,=,="} {
		r := record(sampled)
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "tracestate", Value: []byte(state)}, kgo.RecordHeader{Key: "traceparent", Value: []byte("another")})
		Processed(r, "score", "group", time.Now(), time.Now())
	}
	if err := stop(t.Context()); err != nil || got.Load() != 4 {
		t.Errorf("%d spans, %v", got.Load(), err)
	}
}

func TestARequestsContextGoesIntoItsRecord(t *testing.T) {
	request := func(header string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/predict", nil)
		if header != "" {
			r.Header.Set("traceparent", header)
		}
		return r
	}
	carried := func(header string) (string, string) {
		r := request(header)
		ctx := Request(t.Context(), r)
		var out kgo.Record
		Carry(ctx, &out)
		Answered(ctx, r, "predict", "tx-1", 200)
		return (*headers)(&out).Get("traceparent"), ID(ctx)
	}
	// Where nobody traces, as it came.
	for _, header := range []string{sampled, unsampled, ""} {
		if got, _ := carried(header); got != header {
			t.Errorf("%q becomes %q", header, got)
		}
	}
	if got, id := carried("00-broken"); got != "" || id != "" {
		t.Errorf("a broken header becomes %q", got)
	}
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	got, stop, _ := start(t, http.StatusOK)
	trace := sampled[3:35]
	if header, id := carried(sampled); header == sampled || header[3:35] != trace || header[53:] != "01" || id != trace {
		t.Errorf("%q, %q: want a span of this process in the caller's trace", header, id)
	}
	if header, id := carried(unsampled); header[3:35] != trace || header[53:] != "00" || id != "" {
		t.Errorf("%q, %q: the caller does not keep it", header, id)
	}
	if err := stop(t.Context()); err != nil || got.Load() != 1 {
		t.Errorf("%d spans, %v", got.Load(), err)
	}
}

func FuzzAnyHeader(f *testing.F) {
	f.Add([]byte(sampled), []byte("a=b"))
	f.Add([]byte("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"), []byte{0})
	f.Fuzz(func(_ *testing.T, parent, state []byte) {
		r := &kgo.Record{Headers: []kgo.RecordHeader{{Key: "traceparent", Value: parent}, {Key: "tracestate", Value: state}}}
		Sampled(r)
		Processed(r, "score", "group", time.Time{}, time.Time{})
		var out kgo.Record
		Carry(context.Background(), &out)
	})
}
