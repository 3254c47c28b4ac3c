package producer

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// FuzzADeadLetterReadsBackAsItWasWritten: whatever stands in an input, its dead letter names it, and a redrive restores it.
func FuzzADeadLetterReadsBackAsItWasWritten(f *testing.F) {
	f.Add("transactions", int32(3), int64(7), int64(1_770_000_000_000), []byte("key"), []byte(`{"broken`), "traceparent", []byte("00-1"), "the reason", 2)
	f.Add("", int32(-1), int64(-5), int64(-1), []byte(nil), []byte(nil), "mlmonitor.dlq.attempt", []byte("999999999999"), "\xff\xfe", 0)
	f.Add("t", int32(0), int64(0), int64(0), []byte{0}, []byte{0xff}, "mlmonitor.dlq.class", []byte("forged"), string(bytes.Repeat([]byte("ä"), 1000)), -1)
	f.Fuzz(func(t *testing.T, topic string, partition int32, offset, millis int64, key, value []byte, header string, headerValue []byte, reason string, attempt int) {
		if millis > 1<<50 || millis < -(1<<50) {
			return // further from now than time.Time counts in milliseconds without loss
		}
		in := &kgo.Record{Topic: topic, Partition: partition, Offset: offset, Timestamp: time.UnixMilli(millis), Key: key, Value: value,
			Headers: []kgo.RecordHeader{{Key: header, Value: headerValue}}}
		var out kgo.Record
		SetDeadLetter(&out, in, "dlq", &schemas.Error{Class: schemas.Classes()[0], Detail: reason}, "sha256:digest")
		d, err := ParseDeadLetter(&out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if d.Source != (schemas.Source{Topic: topic, Partition: partition, Offset: offset}) || d.Timestamp.UnixMilli() != millis || d.Bundle != "sha256:digest" || d.Attempt < 1 {
			t.Errorf("%+v", d)
		}
		if len(d.Message) > maxMessage || utf8.ValidString(reason) && !utf8.ValidString(d.Message) {
			t.Errorf("message of %d bytes, valid %t", len(d.Message), utf8.ValidString(d.Message))
		}
		back := d.Redriven()
		if back.Topic != topic || back.Partition != partition || !bytes.Equal(back.Key, key) || !bytes.Equal(back.Value, value) || back.Timestamp.UnixMilli() != millis {
			t.Errorf("redriven: %+v", back)
		}
	})
}

// FuzzParseDeadLetterNeverPanics reads headers that anybody may have written to the topic.
func FuzzParseDeadLetterNeverPanics(f *testing.F) {
	f.Add("class", []byte("x"), "partition", []byte("1"), "offset", []byte("-9"))
	f.Add("timestamp", []byte("9223372036854775808"), "attempt", []byte("-1"), "", []byte(nil))
	f.Fuzz(func(t *testing.T, k1 string, v1 []byte, k2 string, v2 []byte, k3 string, v3 []byte) {
		r := &kgo.Record{Topic: "dlq"}
		for _, h := range []kgo.RecordHeader{{Key: k1, Value: v1}, {Key: k2, Value: v2}, {Key: k3, Value: v3}} {
			h.Key = headerPrefix + h.Key
			r.Headers = append(r.Headers, h)
		}
		if d, err := ParseDeadLetter(r); err == nil {
			t.Errorf("three headers of eight are taken for a dead letter: %+v", d)
		}
	})
}
