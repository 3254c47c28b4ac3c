// Package tracing tells an OpenTelemetry collector of what carries a W3C trace context (https://www.w3.org/TR/trace-context/): requests of the API, and records of Kafka, by their headers traceparent and tracestate.
// Where no collector is configured it does nothing. Spans of records are made when what they tell of is committed, so a trace shows nothing that does not stand, and never holds it up.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// Identity is who the spans are of.
type Identity struct{ Role, Instance, Version string }

// Whoever writes to the topic says what is sampled. A span costs some microseconds, so that a producer that samples everything would slow scoring down.
const perSecond, atOnce = 1000, 1000

// at is where spans go.
type at struct {
	trace.Tracer
	limit   *rate.Limiter // of those of records
	limited prometheus.Counter
}

// current is nil while nobody traces. It is one for the process, as the role is.
var current atomic.Pointer[at]

// On says whether spans are made.
func On() bool { return current.Load() != nil }

// Start begins to make spans for the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, by OTLP over HTTP; the SDK reads that and its other variables itself. stop sends those that wait, for as long as its
// context allows. A collector that is away costs spans and nothing else: they wait in a queue of bounded length (OTEL_BSP_MAX_QUEUE_SIZE).
func Start(who Identity, log *slog.Logger, reg prometheus.Registerer) (stop func(context.Context) error, err error) {
	exporter, err := otlptracehttp.New(context.Background()) // does not connect yet
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	// What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before.
	of, err := resource.Merge(resource.NewSchemaless(
		attribute.String("service.name", "mlmonitor-"+who.Role), attribute.String("service.namespace", "mlmonitor"),
		attribute.String("service.instance.id", who.Instance), attribute.String("service.version", who.Version),
	), resource.Environment())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_trace_spans_total",
		Help: "Spans by what became of them: exported to the OpenTelemetry collector, failed, or limited: not made, as a thousand a second are enough."}, []string{"result"})
	reg.MustRegister(spans)
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&counted{exporter, spans.WithLabelValues("exported"), spans.WithLabelValues("failed")}), sdk.WithResource(of))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces do not reach the collector", "error", err) }))
	here := &at{provider.Tracer("github.com/mlmonitor/mlmonitor"), rate.NewLimiter(perSecond, atOnce), spans.WithLabelValues("limited")}
	current.Store(here)
	return func(ctx context.Context) error {
		current.CompareAndSwap(here, nil)
		return provider.Shutdown(ctx)
	}, nil
}
