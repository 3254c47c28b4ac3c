package consumer

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// anOffsetFromBeforeTheLastAnswersIsNotBelieved: a group that gives an older offset than the topics have answers for has nothing answered twice; once it gives the right one, scoring goes on.
func anOffsetFromBeforeTheLastAnswersIsNotBelieved(t *testing.T, c *cluster) {
	m := c.start(t, c.config("a"), sample(t))
	c.send(t, 0, 600, 0.02)
	c.answered(t, 600)
	if err := m.end(t); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	right, err := adm.FetchOffsets(t.Context(), c.group)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(back int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		for p, o := range right[c.topics.Transactions] {
			offsets.AddOffset(c.topics.Transactions, p, max(0, o.At-back), -1)
		}
		eventually(t, "the offsets are set", func() bool {
			done, err := adm.CommitOffsets(t.Context(), c.group, offsets)
			return err == nil && done.Error() == nil
		})
	}
	commit(3)
	again := c.start(t, c.config("a"), sample(t))
	eventually(t, "the scorer says why it does not score", func() bool {
		err := again.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), errStale.Error())
	})
	time.Sleep(time.Second) // for answers that must not come
	if err := again.end(t); err != nil {
		t.Fatal(err)
	}
	found := c.answers(t)
	for source, all := range found {
		if len(all) != 1 {
			t.Errorf("%v is answered %d times", source, len(all))
		}
	}
	if len(found) != 600 {
		t.Errorf("%d inputs have an answer", len(found))
	}
	commit(0)
	c.start(t, c.config("a"), sample(t))
	c.send(t, 600, 300, 0.02)
	c.answered(t, 900)
}

// nothingIsAnsweredBesideAnOpenTransaction: while somebody's transaction is open on a topic of answers, no input of that partition is answered; once it is decided, those that it has no answer for are.
func nothingIsAnsweredBesideAnOpenTransaction(t *testing.T, c *cluster) {
	// What a member that was killed has left: answers to the first inputs, not decided.
	m := c.start(t, c.config("a"), sample(t))
	c.send(t, 0, 300, 0.02)
	c.answered(t, 300)
	if err := m.end(t); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...), kgo.TransactionalID("left-"+c.group), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	foreign := &kgo.Record{Topic: c.topics.DeadLetters, Partition: 1, Value: []byte("of somebody")}
	if err := cl.ProduceSync(t.Context(), foreign).FirstErr(); err != nil {
		t.Fatal(err)
	}
	before := c.answers(t)
	cfg := c.config("a")
	cfg.TxnTimeout = 3 * time.Second
	again := c.start(t, cfg, sample(t))
	c.send(t, 300, 300, 0)
	eventually(t, "the scorer says why it does not score", func() bool {
		err := again.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), errUnsettled.Error()) && strings.Contains(err.Error(), "unblock")
	})
	for source := range c.answers(t) {
		if _, known := before[source]; !known && source.Partition == 1 { // other members answer others
			t.Errorf("%v was answered meanwhile", source)
		}
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	c.answered(t, 600)
}
