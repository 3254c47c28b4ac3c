package torture

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// hangsAfter is longer than any transaction of ours lives.
const hangsAfter = 30 * time.Second

// abortHanging does what docs/operations.md says under "When score is stalled": it ends transactions that a partition has open and that their coordinator
// has forgotten. Kafka 4.3.1 leaves one behind at times when it is restarted under load; no client can then go on, and nothing of ours mends it.
func (w *World) abortHanging(ctx context.Context) {
	if !w.aborting.TryLock() {
		return // another does it
	}
	defer w.aborting.Unlock()
	adm, err := w.admin()
	if err != nil {
		return
	}
	defer adm.Close()
	topics, err := adm.ListTopicsWithInternal(ctx, append(w.topics.Topics(), "__consumer_offsets")...)
	if err != nil {
		return // the next look may succeed
	}
	described, err := adm.DescribeProducers(ctx, topics.TopicsSet())
	if err != nil {
		return
	}
	described.EachProducer(func(p kadm.DescribedProducer) {
		if p.CurrentTxnStartOffset < 0 || time.Since(time.UnixMilli(p.LastTimestamp)) < hangsAfter {
			return
		}
		w.log("Kafka has forgotten the transaction of producer %d, epoch %d, open in %s partition %d from offset %d: aborted, as the runbook says",
			p.ProducerID, p.ProducerEpoch, p.Topic, p.Partition, p.CurrentTxnStartOffset)
		w.hanging.Add(1)
		set := kadm.TopicsSet{}
		set.Add(p.Topic, p.Partition)
		written, err := adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, CoordinatorEpoch: p.CoordinatorEpoch, Topics: set})
		if err != nil {
			w.log("abort it: %v", err)
		}
		written.EachPartition(func(m kadm.TxnMarkersPartitionResponse) {
			if m.Err != nil {
				w.log("abort it: %v", m.Err)
			}
		})
	})
}
