package consumer

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// ask writes inputs that ask for replies, as header says, each under a transaction id of its own.
func (c *cluster) ask(t *testing.T, headers ...string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 9, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Customers: 50, Terminals: 30})
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range headers {
		e := sim.Next(nil)
		value := e.Value
		if i%3 == 2 {
			value = []byte("no transaction")
		}
		r := &kgo.Record{Topic: c.topics.Transactions, Key: e.Key, Value: value, Headers: []kgo.RecordHeader{{Key: producer.HeaderReply, Value: []byte(h)}}}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// aReplyIsTheAnswerAndInItsTransaction: who asks gets what stands on the topics; what makes no sense is passed over.
func aReplyIsTheAnswerAndInItsTransaction(t *testing.T, c *cluster) {
	c.topics.Replies = c.group + ".replies"
	layOut(t, c)
	var headers []string
	for i := range 60 {
		headers = append(headers, fmt.Sprintf("%d id-%d", i%6, i))
	}
	headers = append(headers, "nonsense", "99 beyond", "-1 x", "1 ")
	c.ask(t, headers...) // before anybody scores: the first batch has its replies too
	cfg := c.config("a")
	cfg.MaxDeadLetterRatio = 1
	m := c.start(t, cfg, version(t, 1))
	found := c.answered(t, 64)
	got := map[string]bool{}
	eventually(t, "each has its reply", func() bool {
		clear(got)
		c.read(t, c.topics.Replies, func(r *kgo.Record) {
			reply, err := producer.ParseReply(r)
			if err != nil {
				t.Fatal(err)
			}
			if got[reply.ID] {
				t.Errorf("%s is replied to twice", reply.ID)
			}
			got[reply.ID] = true
			source := schemas.Source{}
			text := ""
			if reply.Refusal != nil {
				source, text = reply.Refusal.Source, string(reply.Refusal.Class)+": no transaction"
			} else {
				v, err := schemas.ParseVerdict(reply.Payload)
				if err != nil {
					t.Fatal(err)
				}
				source, text = v.Source, string(reply.Payload)
			}
			if all := found[source]; len(all) != 1 || all[0] != text {
				t.Errorf("the reply %s is %s, the answer %v", reply.ID, text, all)
			}
			if n, err := strconv.Atoi(reply.ID[3:]); err != nil || int32(n%6) != r.Partition {
				t.Errorf("%s is in partition %d", reply.ID, r.Partition)
			}
		})
		return len(got) >= 60
	})
	if len(got) != 60 {
		t.Errorf("%d replies", len(got))
	}
	eventually(t, "they are counted", func() bool {
		return testutil.ToFloat64(m.members[0].metrics.replies.WithLabelValues("sent")) == 60 && testutil.ToFloat64(m.members[0].metrics.replies.WithLabelValues("lost")) == 1
	})
}

// withoutATopicOfRepliesScoringGoesOn, and the answers stand.
func withoutATopicOfRepliesScoringGoesOn(t *testing.T, c *cluster) {
	c.topics.Replies = c.group + ".absent"
	cfg := c.config("a")
	cfg.MaxDeadLetterRatio = 1
	m := c.start(t, cfg, version(t, 1))
	c.ask(t, "0 a", "1 b", "2 c")
	c.answered(t, 3)
	eventually(t, "they are counted as lost", func() bool { return testutil.ToFloat64(m.members[0].metrics.replies.WithLabelValues("lost")) == 3 })

	// A topic that goes away under the scorer: the transaction is done again without replies.
	layOut(t, c)
	m.members[0].replies.partitions.Store(50) // as if it had so many
	if len(m.members) > 1 {
		m.members[1].replies.partitions.Store(50)
	}
	c.ask(t, "40 a", "41 b", "42 c")
	c.answered(t, 6)
	eventually(t, "the member is ready", func() bool { return m.Ready(t.Context()) == nil })
}
