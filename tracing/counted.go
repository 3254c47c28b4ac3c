package tracing

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// counted is an exporter that counts what it sent.
type counted struct {
	sdk.SpanExporter
	sent, failed prometheus.Counter
}

// ExportSpans sends spans.
func (c *counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.failed.Add(float64(len(spans)))
	} else {
		c.sent.Add(float64(len(spans)))
	}
	return err
}
