package app

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// TestEachWayToBeWrongIsSeen writes topics by hand: what Reconcile calls exact is exact, and nothing else.
func TestEachWayToBeWrongIsSeen(t *testing.T) {
	broker, err := kafka.StartEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	bundle, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(topic string, offset int64) []byte {
		v := schemas.Verdict{TransactionID: schemas.ID("tx"), Decision: schemas.Approve, Bundle: bundle.ID, Source: schemas.Source{Topic: topic, Offset: offset}}
		v.EventTime = v.EventTime.AddDate(2026, 0, 0)
		line, err := v.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	for name, c := range map[string]struct {
		verdicts, dead []int64 // offsets they answer
		other          bool    // one answers another topic
		exact          bool

		unanswered, doubled, foreign int64
	}{
		"exact":            {verdicts: []int64{0, 2}, dead: []int64{1}, exact: true},
		"unanswered":       {verdicts: []int64{0, 2}, unanswered: 1},
		"two verdicts":     {verdicts: []int64{0, 2, 2}, dead: []int64{1}, doubled: 1},
		"verdict and dead": {verdicts: []int64{0, 1, 2}, dead: []int64{1}, doubled: 1},
		"counts alone":     {verdicts: []int64{0, 0}, dead: []int64{1}, unanswered: 1, doubled: 1}, // as many answers as inputs
		"no such input":    {verdicts: []int64{0, 2, 7}, dead: []int64{1}, foreign: 1},
		"of another topic": {verdicts: []int64{0, 2}, dead: []int64{1}, other: true, foreign: 1},
	} {
		topics := kafka.Config{Brokers: broker.Brokers(), Transactions: "in", Verdicts: "out", DeadLetters: "dlq"}
		topics.Transactions, topics.Verdicts, topics.DeadLetters = "in-"+hex(name), "out-"+hex(name), "dlq-"+hex(name)
		if _, err := kafka.LayOut(t.Context(), &topics, kafka.Layout{Partitions: 1, Replication: -1}, false); err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		for range 3 {
			records = append(records, &kgo.Record{Topic: topics.Transactions, Value: []byte("{}")})
		}
		for _, offset := range c.verdicts {
			records = append(records, &kgo.Record{Topic: topics.Verdicts, Value: verdict(topics.Transactions, offset)})
		}
		if c.other {
			records = append(records, &kgo.Record{Topic: topics.Verdicts, Value: verdict("elsewhere", 0)})
		}
		for _, offset := range c.dead {
			dead := &kgo.Record{}
			producer.SetDeadLetter(dead, &kgo.Record{Topic: topics.Transactions, Offset: offset}, topics.DeadLetters, &schemas.Error{Class: schemas.Empty}, "")
			records = append(records, dead)
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		cl.Close()
		found, err := Reconcile(t.Context(), &topics)
		if err != nil || found.Exact() != c.exact || found.Transactions != 3 || found.Unanswered != c.unanswered || found.Doubled != c.doubled || found.Foreign != c.foreign {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// hex makes a topic name of any text.
func hex(s string) string {
	out := ""
	for _, c := range []byte(s) {
		out += string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
	}
	return out
}
