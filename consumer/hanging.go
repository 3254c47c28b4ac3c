package consumer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Hanging is what one transaction left open in partitions although its coordinator knows it no longer: brokers that are killed under load forget one at times.
// Nobody reads a partition past it, and nothing ends it by itself.
type Hanging struct {
	ProducerID int64       `json:"producer_id"`
	Epoch      int16       `json:"epoch"`
	Partitions []OpenSince `json:"partitions"`
	Commit     bool        `json:"commit"` // else abort: what all of the transaction was, as far as the topics show
	Why        string      `json:"why"`
	Ended      bool        `json:"ended"`
}

// OpenSince is the partition and the offset of a transaction's first record there.
type OpenSince struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`

	coordinatorEpoch int32
}

// offsetsTopic is where the group's offsets are.
const offsetsTopic = "__consumer_offsets"

// Unblock finds the transactions that hang, see FindHanging, and with apply ends them as they were.
func Unblock(ctx context.Context, topics *kafka.Config, group string, quiet time.Duration, apply bool) ([]Hanging, error) {
	opts, err := topics.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	found, err := FindHanging(ctx, cl, topics, group, quiet)
	if err != nil || !apply {
		return found, err
	}
	for i := range found {
		if err := found[i].End(ctx, cl); err != nil {
			return found, err
		}
	}
	return found, nil
}

// FindHanging finds the transactions that hang in the output topics and among the group's offsets, those whose last record is older than quiet, and finds out what they were:
//
//   - another transaction has answered the same inputs again: it was aborted, or they would not have been read again;
//   - else, the group's offsets are past its inputs, or another of its partitions shows its answers to readers: it was committed;
//   - else it was aborted, or never decided, which is the same.
//
// quiet must be longer than any transaction may last.
func FindHanging(ctx context.Context, cl *kgo.Client, topics *kafka.Config, group string, quiet time.Duration) ([]Hanging, error) {
	adm := kadm.NewClient(cl)
	alive, err := liveTransactions(ctx, adm)
	if err != nil {
		return nil, err
	}
	listed, err := adm.ListTopicsWithInternal(ctx, topics.Verdicts, topics.DeadLetters, offsetsTopic)
	if err != nil {
		return nil, err
	}
	described, err := adm.DescribeProducers(ctx, listed.TopicsSet())
	if err != nil {
		return nil, err
	}
	type transaction struct { // with transaction.version 2 the epoch is another in each
		producer int64
		epoch    int16
	}
	open := map[transaction]*Hanging{}
	described.EachProducer(func(p kadm.DescribedProducer) {
		if p.CurrentTxnStartOffset < 0 || alive[p.ProducerID].Lookup(p.Topic, p.Partition) || time.Since(time.UnixMilli(p.LastTimestamp)) < quiet {
			return
		}
		id := transaction{p.ProducerID, p.ProducerEpoch}
		if open[id] == nil {
			open[id] = &Hanging{ProducerID: id.producer, Epoch: id.epoch}
		}
		open[id].Partitions = append(open[id].Partitions, OpenSince{p.Topic, p.Partition, p.CurrentTxnStartOffset, p.CoordinatorEpoch})
	})
	var all []Hanging
	for _, h := range open {
		if err := h.decide(ctx, adm, topics, group); err != nil {
			return nil, err
		}
		all = append(all, *h)
	}
	slices.SortFunc(all, func(a, b Hanging) int { return int(a.ProducerID - b.ProducerID) })
	return all, nil
}

// liveTransactions are the partitions, by producer, in which a coordinator has a transaction open or ends one: those do not hang.
func liveTransactions(ctx context.Context, adm *kadm.Client) (map[int64]kadm.TopicsSet, error) {
	listed, err := adm.ListTransactions(ctx, nil, []string{"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"})
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	alive := map[int64]kadm.TopicsSet{}
	if len(listed) == 0 {
		return alive, nil
	}
	described, err := adm.DescribeTransactions(ctx, listed.TransactionalIDs()...)
	if err != nil {
		return nil, fmt.Errorf("describe transactions: %w", err)
	}
	for _, t := range described {
		if t.Err != nil {
			return nil, fmt.Errorf("describe transaction %s: %w", t.TxnID, t.Err)
		}
		alive[t.ProducerID] = t.Topics
	}
	return alive, nil
}

// evidence is what the topics show of a transaction.
type evidence struct {
	answered map[int32]int64 // last input that it answers, by input partition
	again    bool            // another transaction answers one of them
	visible  bool            // a reader sees one of its answers
}

func (h *Hanging) decide(ctx context.Context, adm *kadm.Client, topics *kafka.Config, group string) error {
	e, err := h.gather(ctx, adm, topics)
	if err != nil {
		return err
	}
	offsets, err := groupOffsets(ctx, adm, group)
	if err != nil {
		return err
	}
	h.Commit, h.Why = e.verdict(func(partition int32) int64 {
		at, _ := offsets.Lookup(topics.Transactions, partition)
		return at.At
	})
	return nil
}

// verdict says what a transaction was, from what the topics show of it and the group's offset in each input partition.
func (e *evidence) verdict(offset func(int32) int64) (commit bool, why string) {
	switch {
	case e.again:
		return false, "its inputs were answered again"
	case e.visible:
		return true, "a part of it is committed"
	}
	for partition, last := range e.answered {
		if at := offset(partition); at > last {
			return true, fmt.Sprintf("the group stands at %d of input partition %d, past its last input there, %d", at, partition, last)
		}
	}
	return false, "the group has not passed its inputs"
}

// gather reads what the transaction and others wrote where it hangs, and, elsewhere, whether readers see anything of it.
func (h *Hanging) gather(ctx context.Context, adm *kadm.Client, topics *kafka.Config) (*evidence, error) {
	e := &evidence{answered: map[int32]int64{}}
	mine, others := map[schemas.Source]bool{}, map[schemas.Source]bool{}
	for _, topic := range []string{topics.Verdicts, topics.DeadLetters} {
		ends, err := adm.ListEndOffsets(ctx, topic)
		if err != nil {
			return nil, err
		}
		stable, err := kafka.Whole(ctx, topics, topic)
		if err != nil {
			return nil, err
		}
		hung := kafka.Range{From: map[int32]int64{}, To: map[int32]int64{}}
		for _, p := range h.Partitions {
			if end, ok := ends.Lookup(topic, p.Partition); ok && p.Topic == topic {
				hung.From[p.Partition], hung.To[p.Partition] = p.Offset, end.Offset
				delete(stable.To, p.Partition)
			}
		}
		if err := kafka.ReadUncommitted(ctx, topics, topic, hung, func(r *kafka.Record) error {
			source, ok := sourceOf(topics, r)
			switch {
			case !ok:
			case h.wrote(r):
				mine[source] = true
				e.answered[source.Partition] = max(e.answered[source.Partition], source.Offset)
			default:
				others[source] = true
			}
			return nil
		}); err != nil {
			return nil, err
		}
		for partition, to := range stable.To {
			stable.From[partition] = max(stable.From[partition], to-lookBack)
		}
		if err := kafka.Read(ctx, topics, topic, stable, func(r *kafka.Record) error {
			e.visible = e.visible || h.wrote(r)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for source := range mine {
		e.again = e.again || others[source]
	}
	return e, nil
}

// wrote says whether a record is of the transaction.
func (h *Hanging) wrote(r *kafka.Record) bool {
	return r.ProducerID == h.ProducerID && r.ProducerEpoch == h.Epoch
}

// lookBack is how many records at the end of a partition are searched for a transaction that hangs elsewhere.
const lookBack = 100_000

// sourceOf is the input that a record answers.
func sourceOf(topics *kafka.Config, r *kafka.Record) (schemas.Source, bool) {
	if r.Topic == topics.Verdicts {
		v, err := schemas.ParseVerdict(r.Value)
		return v.Source, err == nil
	}
	d, err := producer.ParseDeadLetter(r)
	return d.Source, err == nil
}

// End writes the markers that are missing. It needs the right ClusterAction, which is an administrator's.
func (h *Hanging) End(ctx context.Context, cl *kgo.Client) error {
	byEpoch := map[int32]kadm.TopicsSet{} // of the coordinator
	for _, p := range h.Partitions {
		set := byEpoch[p.coordinatorEpoch]
		set.Add(p.Topic, p.Partition)
		byEpoch[p.coordinatorEpoch] = set
	}
	for epoch, set := range byEpoch {
		written, err := kadm.NewClient(cl).WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: h.ProducerID, ProducerEpoch: h.Epoch, Commit: h.Commit, CoordinatorEpoch: epoch, Topics: set})
		if err != nil {
			return fmt.Errorf("end the transaction of producer %d: %w", h.ProducerID, err)
		}
		written.EachPartition(func(m kadm.TxnMarkersPartitionResponse) {
			if m.Err != nil && err == nil {
				err = fmt.Errorf("end the transaction of producer %d in %s partition %d: %w", h.ProducerID, m.Topic, m.Partition, m.Err)
			}
		})
		if err != nil {
			return err
		}
	}
	h.Ended = true
	return nil
}
