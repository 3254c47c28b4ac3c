package kafka

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// forgetful is a balancer that does not know of the last partition of a topic when it balances for the first time, as a leader does that began before the
// topic grew.
type forgetful struct {
	kgo.GroupBalancer
	calls *atomic.Int64
}

func (f forgetful) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	b, topics, err := f.GroupBalancer.MemberBalancer(members)
	return forgetfulOnce{b, f.calls}, topics, err
}

type forgetfulOnce struct {
	kgo.GroupMemberBalancer
	calls *atomic.Int64
}

func (f forgetfulOnce) BalanceOrError(topics map[string]int32) (kgo.IntoSyncAssignment, error) {
	if f.calls.Add(1) == 1 {
		for t := range topics {
			topics[t]--
		}
	}
	return f.GroupMemberBalancer.(kgo.GroupMemberBalancerOrError).BalanceOrError(topics)
}

func TestAPartitionThatNobodyReadsIsAdopted(t *testing.T) {
	for name, addresses := range map[string]func(*testing.T) []string{
		"embedded": func(t *testing.T) []string { return brokers(t) },
		"real":     func(t *testing.T) []string { return rig.Kafka(t, 1).Brokers },
	} {
		t.Run(name, func(t *testing.T) {
			topic, group := rig.Unique("orphans"), rig.Unique("orphans")
			seeds := kgo.SeedBrokers(addresses(t)...)
			cl, err := kgo.NewClient(seeds, kgo.ConsumerGroup(group), kgo.InstanceID("one"), kgo.ConsumeTopics(topic), kgo.MetadataMinAge(100*time.Millisecond),
				kgo.Balancers(forgetful{kgo.CooperativeStickyBalancer(), &atomic.Int64{}}))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			adoptions := prometheus.NewCounter(prometheus.CounterOpts{Name: "adoptions"})
			begin := make(chan struct{})
			go func() {
				<-begin
				adoptOrphans(ctx, cl, group, topic, quiet, adoptions, time.Second)
			}()
			go cl.PollFetches(ctx)
			for sawOrphan := false; ; {
				found, err := orphans(ctx, cl, group, topic)
				if ctx.Err() != nil {
					t.Fatalf("the orphan was seen: %t; it is not adopted: %v, %v", sawOrphan, found, err)
				}
				if len(found) == 1 && found[0] == 2 && !sawOrphan {
					sawOrphan = true
					close(begin)
				}
				if sawOrphan && err == nil && len(found) == 0 && testutil.ToFloat64(adoptions) > 0 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if n := testutil.ToFloat64(adoptions); n > 3 {
				t.Errorf("the group was balanced %v times for one partition", n)
			}
		})
	}
}
