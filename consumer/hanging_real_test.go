package consumer

import (
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// hang leaves a transaction open in a partition of the verdicts topic that no coordinator knows of: a broker that does not verify takes the record of any producer.
func (c *cluster) hang(t *testing.T, cl *kgo.Client, partition int32, value []byte) {
	t.Helper()
	id := kmsg.NewPtrInitProducerIDRequest()
	id.TransactionalID, id.TransactionTimeoutMillis = kmsg.StringPtr(fmt.Sprintf("%s-hang-%d", c.group, partition)), 60_000
	producer, err := id.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(producer.ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour).UnixMilli()
	record := kmsg.Record{Key: []byte("k"), Value: value}
	length := len(record.AppendTo(nil)) - 1 // without the length itself, which takes a byte while it is 0
	record.Length = int32(length)
	batch := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, Attributes: 1 << 4, FirstTimestamp: old, MaxTimestamp: old, ProducerID: producer.ProducerID,
		ProducerEpoch: producer.ProducerEpoch, NumRecords: 1, Records: record.AppendTo(nil)}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	batch.CRC = int32(crc32.Checksum(batch.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = id.TransactionalID, -1, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = c.topics.Verdicts
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, batch.AppendTo(nil)
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := cl.Broker(1).Request(t.Context(), req)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("leave a transaction open: %v", err)
	}
}

func (c *cluster) verdict(t *testing.T, partition int32) []byte {
	t.Helper()
	v := schemas.Verdict{TransactionID: schemas.ID(fmt.Sprintf("tx-%d", partition)), Decision: schemas.Approve, Probability: 0.1, Margin: -2, EventTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Bundle: sample(t).ID, Source: schemas.Source{Topic: c.topics.Transactions, Partition: partition, Offset: 0}}
	value, err := v.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestTransactionsThatHangAreEndedAsTheyWere on a real broker: one was committed, one was not, and one was answered again.
func TestTransactionsThatHangAreEndedAsTheyWere(t *testing.T) {
	c := newCluster(t, rig.PrivateKafka(t, 1, "transaction.partition.verification.enable=false").Brokers)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), 9) // which knows topics by name, and adds no partition to a transaction
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const committed, undecided, again, alive = 0, 1, 2, 3
	var offsets kadm.Offsets
	for _, p := range []int32{committed, undecided, again, alive} {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: c.topics.Transactions, Partition: p, Value: []byte("{}")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if p == committed || p == again {
			offsets.AddOffset(c.topics.Transactions, p, 1, -1)
		}
	}
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), c.group, offsets); err != nil {
		t.Fatal(err)
	}
	for _, p := range []int32{committed, undecided, again} {
		c.hang(t, cl, p, c.verdict(t, p))
	}
	txn, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...), kgo.TransactionalID(c.group+"-alive"), kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer txn.Close()
	answer := func(p int32) {
		t.Helper()
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		r := &kgo.Record{Topic: c.topics.Verdicts, Partition: p, Value: c.verdict(t, p), Timestamp: time.Now().Add(-time.Hour)}
		if err := txn.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	answer(again)
	if err := txn.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	answer(alive) // stays open: it is old, and its coordinator knows it

	found, err := Unblock(t.Context(), &c.topics, c.group, time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	what := map[int32]bool{}
	for _, h := range found {
		for _, p := range h.Partitions {
			what[p.Partition] = h.Commit
		}
		if h.Ended {
			t.Errorf("%+v was ended unasked", h)
		}
	}
	if len(what) != 3 || !what[committed] || what[undecided] || what[again] {
		t.Errorf("found %+v", found)
	}
	told := func() kafka.State {
		for _, f := range Examine(t.Context(), &c.topics, c.group, time.Minute) {
			if f.Check == "hanging transactions" {
				return f.State
			}
		}
		return "nothing"
	}
	if state := told(); state != kafka.Fail {
		t.Errorf("doctor says %s", state)
	}
	if _, err := Unblock(t.Context(), &c.topics, c.group, time.Minute, true); err != nil {
		t.Fatal(err)
	}
	if err := txn.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	seen := map[int32]int{}
	eventually(t, "readers pass what hung", func() bool {
		clear(seen)
		whole, err := kafka.Whole(t.Context(), &c.topics, c.topics.Verdicts)
		if err != nil {
			t.Fatal(err)
		}
		if err := kafka.Read(t.Context(), &c.topics, c.topics.Verdicts, whole, func(r *kafka.Record) error { seen[r.Partition]++; return nil }); err != nil {
			t.Fatal(err)
		}
		return seen[alive] == 1
	})
	if seen[committed] != 1 || seen[undecided] != 0 || seen[again] != 1 {
		t.Errorf("readers see, by partition, %v", seen)
	}
	if state := told(); state != kafka.OK {
		t.Errorf("afterwards doctor says %s", state)
	}
	if left, err := Unblock(t.Context(), &c.topics, c.group, time.Minute, false); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}
