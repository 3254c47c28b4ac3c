package producer

import "github.com/twmb/franz-go/pkg/kgo"

// HeaderBundle names the digest of the bundle that made a verdict or refused an input.
const HeaderBundle = "mlmonitor.bundle"

// traceHeaders go from the input to its verdict: W3C Trace Context.
var traceHeaders = map[string]bool{"traceparent": true, "tracestate": true}

// SetVerdict fills out with the record of a verdict: key, partition and timestamp of the input, so that per-key order is kept. The record's
// headers, the bundle's digest and the trace context of the input, are appended to headers, whose memory the verdicts of a batch share.
func SetVerdict(out, in *kgo.Record, topic string, payload, digest []byte, headers []kgo.RecordHeader) []kgo.RecordHeader {
	start := len(headers)
	headers = append(headers, kgo.RecordHeader{Key: HeaderBundle, Value: digest})
	for _, h := range in.Headers {
		if traceHeaders[h.Key] {
			headers = append(headers, h)
		}
	}
	*out = kgo.Record{Topic: topic, Partition: in.Partition, Key: in.Key, Value: payload, Timestamp: in.Timestamp, Headers: headers[start:len(headers):len(headers)]}
	return headers
}
