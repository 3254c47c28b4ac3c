package consumer

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/producer"
)

// Two brokers lead a partition each, and the second is slow: what stays in the first partition stands at its end, to be read, before the second is done.
func TestARedriveDealsWithALetterOnce(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	c := newCluster(t, broker.ListenAddrs())
	const each = 10
	for p, node := range []int32{0, 1} {
		if err := broker.MoveTopicPartition(c.topics.DeadLetters, int32(p), node); err != nil {
			t.Fatal(err)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range 2 * each {
		rec := &kgo.Record{Topic: c.topics.DeadLetters, Partition: int32(i % 2), Value: fmt.Appendf(nil, "of another program: %d", i)}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}

	first := make(chan struct{}) // the first partition's letters have moved
	broker.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.DropControl()
		time.AfterFunc(300*time.Millisecond, func() { close(first) })
		return nil, nil, false
	})
	broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if broker.CurrentNode() == 1 {
			broker.SleepControl(func() { <-first })
		}
		return nil, nil, false
	})
	cfg := c.config("a")
	done, err := Redrive{MaxAttempts: 1}.Run(t.Context(), &cfg, &c.topics, func(Redriven) {})
	if err != nil || done != (Redriven{Foreign: 2 * each}) {
		t.Errorf("%+v, %v: each of %d letters must be dealt with once", done, err, 2*each)
	}
}

// A commit is answered before readers see it. Letters of a transaction that ends are waited for; those of one that does not are not.
func TestLettersOfATransactionThatEndsAreSeen(t *testing.T) {
	c := onEmbedded(t)
	cfg := c.config("a")
	cfg.TxnTimeout = 30 * time.Second
	open := func() (n int) {
		t.Helper()
		if err := OpenDeadLetters(t.Context(), &cfg, &c.topics, false, func(producer.DeadLetter, error) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	begin := func(id string) *kgo.Client {
		t.Helper()
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...), kgo.TransactionalID(c.topics.DeadLetters+id), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: c.topics.DeadLetters, Value: []byte("of another program")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return cl
	}
	ends := begin("ends")
	time.AfterFunc(300*time.Millisecond, func() { ends.EndTransaction(t.Context(), kgo.TryCommit) })
	if n := open(); n != 1 {
		t.Errorf("%d letters are open, of 1 that was being committed", n)
	}
	begin("hangs")
	cfg.TxnTimeout = time.Second
	if n := open(); n != 1 {
		t.Errorf("%d letters are open, of 1 that is committed and 1 whose transaction hangs", n)
	}
}
