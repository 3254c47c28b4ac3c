package consumer

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinator is a broker that answers what state a transaction is in with the states in turn, the last again and again; "" is no answer.
func coordinator(t *testing.T, states ...string) (cl *kgo.Client, asked *atomic.Int64) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	asked = &atomic.Int64{}
	cluster.ControlKey(int16(kmsg.DescribeTransactions), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		n := int(asked.Add(1))
		req := kreq.(*kmsg.DescribeTransactionsRequest)
		resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		state := kmsg.NewDescribeTransactionsResponseTransactionState()
		state.TransactionalID, state.State = req.TransactionalIDs[0], states[min(n, len(states))-1]
		if state.State == "" {
			time.Sleep(2 * endingLimit)
		}
		resp.TransactionStates = append(resp.TransactionStates, state)
		return resp, nil, true
	})
	if cl, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("t")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if _, _, err := cl.ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cl, asked
}

func TestTheNextTransactionWaitsForTheEndOfTheLast(t *testing.T) {
	for _, c := range []struct {
		states []string
		asked  int64
	}{
		{[]string{"CompleteCommit"}, 1},
		{[]string{"PrepareCommit", "PrepareCommit", "CompleteCommit"}, 3},
		{[]string{"PrepareAbort", "CompleteAbort"}, 2},
		{[]string{"Empty"}, 1},
	} {
		cl, asked := coordinator(t, c.states...)
		<-ending(t.Context(), cl, "t", patience, patience)
		if n := asked.Load(); n != c.asked {
			t.Errorf("%v: asked %d times, want %d", c.states, n, c.asked)
		}
	}
}

func TestTheWaitForTheEndOfATransactionIsBounded(t *testing.T) {
	for _, state := range []string{"PrepareCommit", ""} {
		cl, _ := coordinator(t, state)
		select {
		case <-ending(t.Context(), cl, "t", endingReply, endingLimit):
		case <-timeout(t):
			t.Errorf("%q again and again: the wait does not end", state)
		}
	}
}
