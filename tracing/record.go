package tracing

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// headers are those of a record, as the propagator wants them.
type headers kgo.Record

// Get gives the first value of a header.
func (h *headers) Get(key string) string {
	for _, one := range h.Headers {
		if one.Key == key {
			return string(one.Value)
		}
	}
	return ""
}

// Set adds a header; a record that gets a context has none.
func (h *headers) Set(key, value string) {
	h.Headers = append(h.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
}

// Keys are those of all headers.
func (h *headers) Keys() (all []string) {
	for _, one := range h.Headers {
		all = append(all, one.Key)
	}
	return all
}

// Sampled says whether a record's sender keeps the trace that it belongs to. It allocates nothing: it is asked of every record where somebody traces.
func Sampled(r *kgo.Record) bool {
	for _, h := range r.Headers {
		if h.Key == "traceparent" {
			// version-traceid-parentid-flags in hexadecimal, the last bit of the flags
			const flags = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0")
			return len(h.Value) > flags && isOdd(h.Value[flags])
		}
	}
	return false
}

func isOdd(hexadecimal byte) bool {
	switch hexadecimal {
	case '1', '3', '5', '7', '9', 'b', 'd', 'f':
		return true
	}
	return false
}

// Processed makes the span of what a consumer group did with a record from one time to another, a child of what the record's headers say. Names are of OpenTelemetry's conventions for messaging
// (https://opentelemetry.io/docs/specs/semconv/messaging/kafka/).
func Processed(r *kgo.Record, what, group string, from, to time.Time) {
	here := current.Load()
	if here == nil {
		return
	}
	if !here.limit.Allow() {
		here.limited.Inc()
		return
	}
	parent := w3c.Extract(context.Background(), (*headers)(r))
	if !trace.SpanContextFromContext(parent).IsValid() {
		return // a header that is none begins no trace of its own
	}
	_, span := here.Start(parent, what+" "+r.Topic, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(from), trace.WithAttributes(
		attribute.String("messaging.system", "kafka"), attribute.String("messaging.operation.type", "process"), attribute.String("messaging.operation.name", what),
		attribute.String("messaging.destination.name", r.Topic), attribute.Int("messaging.destination.partition.id", int(r.Partition)),
		attribute.Int64("messaging.kafka.offset", r.Offset), attribute.String("messaging.consumer.group.name", group)))
	span.End(trace.WithTimestamp(to))
}
