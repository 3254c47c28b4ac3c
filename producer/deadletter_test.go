package producer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/schemas"
)

var reason = &schemas.Error{Class: schemas.WrongType, Path: "amount", Offset: 17, Detail: "a string, the contract says number"}

func TestADeadLetterRoundTripsToItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		headers := rapid.SliceOf(rapid.Custom(func(t *rapid.T) kgo.RecordHeader {
			return kgo.RecordHeader{Key: rapid.String().Draw(t, "name"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "header")}
		})).Draw(t, "headers")
		in := &kgo.Record{
			Topic: "transactions", Partition: rapid.Int32Range(0, 100).Draw(t, "partition"), Offset: rapid.Int64Range(0, 1<<40).Draw(t, "offset"),
			Key: rapid.SliceOf(rapid.Byte()).Draw(t, "key"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"), Headers: headers,
			Timestamp: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "millis")),
		}
		original := *in
		for attempt := 1; attempt <= 3; attempt++ { // refused and redriven again and again
			var dead kgo.Record
			SetDeadLetter(&dead, in, "dlq", reason, "sha256:ab")
			letter, err := ParseDeadLetter(&dead)
			if err != nil {
				t.Fatal(err)
			}
			want := DeadLetter{Class: reason.Class, Message: reason.Error(), Source: schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset},
				Timestamp: in.Timestamp.UTC(), Bundle: "sha256:ab", Attempt: attempt}
			if diff := cmp.Diff(want, letter, cmpopts.IgnoreFields(DeadLetter{}, "Record")); diff != "" {
				t.Fatal(diff)
			}
			in = letter.Redriven()
			in.Offset = original.Offset + int64(attempt)
			if string(in.Key) != string(original.Key) || string(in.Value) != string(original.Value) || in.Partition != original.Partition ||
				in.Topic != original.Topic || !in.Timestamp.Equal(original.Timestamp) {
				t.Fatalf("redriven: %+v, was %+v", in, original)
			}
			if diff := cmp.Diff(original.Headers, in.Headers[:len(in.Headers)-1], cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestAReasonIsBoundedAndStaysText(t *testing.T) {
	var dead kgo.Record
	SetDeadLetter(&dead, &kgo.Record{}, "dlq", &schemas.Error{Class: schemas.WrongType, Detail: strings.Repeat("é", 5000)}, "")
	letter, err := ParseDeadLetter(&dead)
	if err != nil {
		t.Fatal(err)
	}
	if len(letter.Message) > maxMessage || strings.ToValidUTF8(letter.Message, "") != letter.Message {
		t.Errorf("a message of %d bytes, %q at its end", len(letter.Message), letter.Message[len(letter.Message)-4:])
	}
}

func TestAForgedAttemptCountsAsNone(t *testing.T) {
	for _, forged := range []string{"", "x", "-3", "99999999999999999999"} {
		var dead kgo.Record
		SetDeadLetter(&dead, &kgo.Record{Headers: []kgo.RecordHeader{{Key: headerAttempt, Value: []byte(forged)}}}, "dlq", reason, "")
		if letter, err := ParseDeadLetter(&dead); err != nil || letter.Attempt != 1 {
			t.Errorf("attempt header %q: attempt %d, %v", forged, letter.Attempt, err)
		}
	}
}

func TestAForeignRecordIsNoDeadLetter(t *testing.T) {
	for name, headers := range map[string][]kgo.RecordHeader{
		"none":       nil,
		"some":       {{Key: headerClass, Value: []byte("x")}},
		"not number": {{Key: headerOffset, Value: []byte("x")}},
	} {
		if _, err := ParseDeadLetter(&kgo.Record{Topic: "dlq", Headers: headers}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAVerdictCarriesBundleAndTrace(t *testing.T) {
	in := &kgo.Record{Topic: "transactions", Partition: 4, Offset: 9, Key: []byte("k"), Timestamp: time.UnixMilli(5),
		Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-1")}, {Key: "other", Value: []byte("x")}}}
	want := kgo.Record{Topic: "verdicts", Partition: 4, Key: []byte("k"), Value: []byte("{}"), Timestamp: time.UnixMilli(5),
		Headers: []kgo.RecordHeader{{Key: HeaderBundle, Value: []byte("sha256:ab")}, {Key: "traceparent", Value: []byte("00-1")}}}
	var all [3]kgo.Record // which share the memory of their headers
	headers := make([]kgo.RecordHeader, 0, 3)
	for i := range all {
		headers = SetVerdict(&all[i], in, "verdicts", []byte("{}"), []byte("sha256:ab"), headers)
	}
	for i, out := range all {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: "more"})[:len(out.Headers)] // as a client's hook may do
		if diff := cmp.Diff(want, out, cmpopts.IgnoreUnexported(kgo.Record{}, kgo.RecordAttrs{})); diff != "" {
			t.Errorf("record %d: %s", i, diff)
		}
	}
}
