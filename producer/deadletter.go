package producer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Headers of a dead letter. Those of the input stay; these are added, and taken away again by a redrive, but for the attempt.
const (
	headerPrefix    = "mlmonitor.dlq."
	headerClass     = headerPrefix + "class"
	headerMessage   = headerPrefix + "message"
	headerTopic     = headerPrefix + "topic"
	headerPartition = headerPrefix + "partition"
	headerOffset    = headerPrefix + "offset"
	headerTimestamp = headerPrefix + "timestamp"
	headerBundle    = headerPrefix + "bundle"
	headerAttempt   = headerPrefix + "attempt"
)

// maxMessage bounds the text of the reason, in bytes.
const maxMessage = 1024

// DeadLetter is an input that could not be scored, and why.
type DeadLetter struct {
	Class     schemas.Class  // reason class
	Message   string         // the reason in words
	Source    schemas.Source // where the input stood
	Timestamp time.Time      // of the input
	Bundle    string         // digest of the bundle that refused it
	Attempt   int            // how often it was refused, from 1
	Record    *kgo.Record    // key, value and headers as they came; of the dead-letter topic: offset and partition
}

// SetDeadLetter fills out with the record of a refused input. It keeps the input's partition, key, value, headers and timestamp.
func SetDeadLetter(out, in *kgo.Record, topic string, reason *schemas.Error, bundle string) {
	headers := slices.DeleteFunc(slices.Clone(in.Headers), func(h kgo.RecordHeader) bool { return strings.HasPrefix(h.Key, headerPrefix) })
	add := func(key, value string) {
		headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	add(headerClass, string(reason.Class))
	add(headerMessage, clip(reason.Error()))
	add(headerTopic, in.Topic)
	add(headerPartition, strconv.Itoa(int(in.Partition)))
	add(headerOffset, strconv.FormatInt(in.Offset, 10))
	add(headerTimestamp, strconv.FormatInt(in.Timestamp.UnixMilli(), 10))
	add(headerBundle, bundle)
	add(headerAttempt, strconv.Itoa(attempts(in)+1))
	*out = kgo.Record{Topic: topic, Partition: in.Partition, Key: in.Key, Value: in.Value, Timestamp: in.Timestamp, Headers: headers}
}

// attempts is how often an input was dead-lettered before, 0 where its header is absent or makes no sense.
func attempts(in *kgo.Record) int {
	for _, h := range in.Headers {
		if h.Key == headerAttempt {
			if n, err := strconv.Atoi(string(h.Value)); err == nil && n > 0 && n < 1_000_000 {
				return n
			}
		}
	}
	return 0
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// ParseDeadLetter reads a record of the dead-letter topic. One that lacks the headers was not written by this program: an error.
func ParseDeadLetter(r *kgo.Record) (DeadLetter, error) {
	d := DeadLetter{Record: r}
	var partition, millis int64
	var err error
	found := 0
	for _, h := range r.Headers {
		name, ours := strings.CutPrefix(h.Key, headerPrefix)
		if !ours || err != nil {
			continue
		}
		found++
		switch v := string(h.Value); name {
		case "class":
			d.Class = schemas.Class(v)
		case "message":
			d.Message = v
		case "topic":
			d.Source.Topic = v
		case "partition":
			partition, err = strconv.ParseInt(v, 10, 32)
			d.Source.Partition = int32(partition)
		case "offset":
			d.Source.Offset, err = strconv.ParseInt(v, 10, 64)
		case "timestamp":
			millis, err = strconv.ParseInt(v, 10, 64)
			d.Timestamp = time.UnixMilli(millis).UTC()
		case "bundle":
			d.Bundle = v
		case "attempt":
			d.Attempt, err = strconv.Atoi(v)
		default:
			found--
		}
	}
	where := fmt.Sprintf("%s partition %d offset %d", r.Topic, r.Partition, r.Offset)
	if err != nil {
		return d, fmt.Errorf("%s: a header is not a number: %w", where, err)
	}
	if found != 8 {
		return d, fmt.Errorf("%s has %d of the 8 headers of a dead letter", where, found)
	}
	return d, nil
}

// Redriven is the record that goes back to the source topic: as it came, to the partition it came from, with the count of attempts.
func (d DeadLetter) Redriven() *kgo.Record {
	headers := slices.DeleteFunc(slices.Clone(d.Record.Headers), func(h kgo.RecordHeader) bool {
		return strings.HasPrefix(h.Key, headerPrefix) && h.Key != headerAttempt
	})
	return &kgo.Record{Topic: d.Source.Topic, Partition: d.Source.Partition, Key: d.Record.Key, Value: d.Record.Value, Timestamp: d.Timestamp, Headers: headers}
}
