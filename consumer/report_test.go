package consumer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// TestAReportThatIsRefusedIsMadeAgain: an idle member whose word of its bundle is refused, or whose broker is gone before it is committed, says it once the brokers take it, and
// answers every input once.
func TestAReportThatIsRefusedIsMadeAgain(t *testing.T) {
	for name, fault := range map[string]struct {
		request kmsg.Key
		answer  func(kmsg.Request) (kmsg.Response, error)
	}{
		"the topic may not be written": {kmsg.Produce, func(r kmsg.Request) (kmsg.Response, error) {
			resp := r.ResponseKind().(*kmsg.ProduceResponse)
			for _, asked := range r.(*kmsg.ProduceRequest).Topics {
				topic := kmsg.NewProduceResponseTopic()
				topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
				for _, p := range asked.Partitions {
					partition := kmsg.NewProduceResponseTopicPartition()
					partition.Partition, partition.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
					topic.Partitions = append(topic.Partitions, partition)
				}
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil
		}},
		"the broker goes away": {kmsg.EndTxn, func(kmsg.Request) (kmsg.Response, error) { return nil, errors.New("the connection is cut") }},
	} {
		t.Run(name, func(t *testing.T) {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(broker.Close)
			c := newCluster(t, broker.ListenAddrs())
			var refused atomic.Int64
			broker.ControlKey(fault.request.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
				broker.KeepControl()
				if refused.Add(1) > 2 {
					return nil, nil, false
				}
				resp, err := fault.answer(r)
				return resp, err, true
			})
			c.start(t, c.config("a"), version(t, 1))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := WaitForBundle(ctx, &c.topics, c.group, func(e *schemas.ModelEvent) bool { return e.Bundle == version(t, 1).ID }, func([]string) {}); err != nil {
				t.Error(err)
			}
			if refused.Load() <= 2 {
				t.Errorf("%d reports, and two were to be refused", refused.Load())
			}
			c.send(t, 0, 60, 0)
			c.answered(t, 60)
		})
	}
}
