package audit

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// FuzzARecordBecomesARowOrAReject: whatever stands on the verdicts topic has one place in the database, whole, with text that both databases store.
func FuzzARecordBecomesARowOrAReject(f *testing.F) {
	v := verdict("tx-1", 7)
	good, err := v.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("key"), good, int64(1_770_000_000_000))
	f.Add([]byte(nil), []byte("no verdict"), int64(-1))
	f.Add([]byte{0xff}, bytes.Replace(good, []byte("tx-"), []byte(`\u0000`), 1), int64(1)<<62)
	f.Fuzz(func(t *testing.T, key, value []byte, millis int64) {
		r := &kgo.Record{Topic: "verdicts", Partition: 2, Offset: 41, Timestamp: time.UnixMilli(millis), Key: key, Value: value}
		var b Batch
		b.add(r)
		if len(b.Rows)+len(b.Rejects) != 1 || b.Next != 42 {
			t.Fatalf("%d rows, %d rejects, next %d", len(b.Rows), len(b.Rejects), b.Next)
		}
		storableText := func(what, s string) {
			if !utf8.ValidString(s) || bytes.ContainsRune([]byte(s), 0) {
				t.Errorf("%s %q cannot be stored", what, s)
			}
		}
		between := func(at time.Time) {
			if at.Before(firstTime) || at.After(lastTime) {
				t.Errorf("%v is outside of the years that the databases hold", at)
			}
		}
		for _, row := range b.Rows {
			if !bytes.Equal(row.Payload, value) || !bytes.Equal(row.Key, key) || row.Offset != 41 {
				t.Errorf("%+v", row)
			}
			between(row.PublishedAt)
			v := row.Verdict
			for what, s := range map[string]string{"transaction id": string(v.TransactionID), "source topic": v.Source.Topic, "bundle name": v.Bundle.Name, "version": v.Bundle.Version, "digest": v.Bundle.Digest} {
				storableText(what, s)
			}
		}
		for _, reject := range b.Rejects {
			if !bytes.Equal(reject.Value, value) || !bytes.Equal(reject.Key, key) || len(reject.Reason) > maxReasonBytes+10 {
				t.Errorf("%+v", reject)
			}
			between(reject.PublishedAt)
			storableText("reason", reject.Reason)
		}
	})
}
