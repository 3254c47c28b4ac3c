package consumer

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Times of asking whether the brokers have ended a transaction.
const (
	endingFirst = 1500 * time.Microsecond // before the first question
	endingEvery = 700 * time.Microsecond  // between two, at first
	endingRare  = 20 * time.Millisecond   // between two, after a while
	endingReply = 250 * time.Millisecond  // for one answer
	endingLimit = 2 * time.Second         // for all: then we go on, and the broker will say itself that it is not ready
)

// ending gives a channel that is closed when the brokers have ended the last transaction of id, or do not say within reply, or after limit. A commit is answered when it is
// decided; then its markers are written. Until that is done, which takes 2 or 3 ms, a record of the next transaction makes the broker wait, and look again
// after add.partitions.to.txn.retry.backoff.ms, 20 unless set: to begin a little later is sooner. Where brokers are slow it would refuse the record after 100 ms, and the
// client would look for another leader.
func ending(ctx context.Context, cl *kgo.Client, id string, reply, limit time.Duration) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		begin := time.Now()
		for wait := endingFirst; ; wait = min(max(endingEvery, time.Since(begin)/8), endingRare) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			if ended(ctx, cl, id, reply) {
				return
			}
		}
	}()
	return done
}

// ended is also true when the brokers do not say: then there is nothing to wait for.
func ended(ctx context.Context, cl *kgo.Client, id string, reply time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, reply)
	defer cancel()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil || len(resp.TransactionStates) != 1 || resp.TransactionStates[0].ErrorCode != 0 {
		return true
	}
	switch resp.TransactionStates[0].State {
	case "PrepareCommit", "PrepareAbort":
		return false
	}
	return true
}
