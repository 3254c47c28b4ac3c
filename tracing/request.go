package tracing

import (
	"context"
	"net/http"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var w3c propagation.TraceContext

// Request begins the span of an HTTP request, a child of what its header says. Where nobody traces, the context carries the header on all the same.
func Request(ctx context.Context, r *http.Request) context.Context {
	ctx = w3c.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if here := current.Load(); here != nil {
		ctx, _ = here.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
	}
	return ctx
}

// Answered ends the span of a request. about is the transaction's id, empty where it is not about one.
func Answered(ctx context.Context, r *http.Request, operation, about string, status int) {
	s := trace.SpanFromContext(ctx)
	if !s.IsRecording() {
		return
	}
	s.SetName(r.Method + " " + operation)
	s.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", operation), attribute.Int("http.response.status_code", status))
	if about != "" {
		s.SetAttributes(attribute.String("mlmonitor.transaction.id", about))
	}
	if status >= http.StatusInternalServerError {
		s.SetStatus(codes.Error, http.StatusText(status))
	}
	s.End()
}

// ID is that of the trace that a context belongs to, where it is one that is kept; else empty.
func ID(ctx context.Context) string {
	if of := trace.SpanContextFromContext(ctx); of.IsSampled() {
		return of.TraceID().String()
	}
	return ""
}

// Carry puts the trace context into the headers of a record.
func Carry(ctx context.Context, r *kgo.Record) { w3c.Inject(ctx, (*headers)(r)) }
