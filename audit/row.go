package audit

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/schemas"
)

const (
	maxTopicBytes  = 249 // Kafka's limit; the source topic is indexed
	maxReasonBytes = 500
)

// add takes a record into the batch: as a row when it is a verdict, else as a reject.
func (b *Batch) add(r *kgo.Record) {
	b.Next = r.Offset + 1
	v, err := schemas.ParseVerdict(r.Value)
	if err == nil && len(v.Source.Topic) > maxTopicBytes {
		err = fmt.Errorf("the source topic has %d bytes, Kafka allows %d", len(v.Source.Topic), maxTopicBytes)
	}
	if err != nil {
		b.Rejects = append(b.Rejects, Reject{Offset: r.Offset, PublishedAt: storable(r.Timestamp), Key: r.Key, Value: r.Value, Reason: reason(err)})
		return
	}
	v.TransactionID, v.Source.Topic = schemas.ID(column(string(v.TransactionID))), column(v.Source.Topic)
	v.Bundle.Name, v.Bundle.Version = column(v.Bundle.Name), column(v.Bundle.Version)
	b.Rows = append(b.Rows, Row{Offset: r.Offset, PublishedAt: storable(r.Timestamp), Key: r.Key, Payload: r.Value, Verdict: v})
}

var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)
)

// storable keeps a timestamp, which is any 64-bit number that a producer chose, within the years that both databases hold.
func storable(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

// column makes a text fit for a column: Postgres stores no U+0000. The payload still has it.
func column(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }

// reason is the text of an error, bounded, and of valid UTF-8.
func reason(err error) string {
	s := err.Error()
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes]
	}
	return column(strings.ToValidUTF8(s, "\uFFFD"))
}
