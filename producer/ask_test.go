package producer

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// TestTheFirstReplyIsReadHoweverLateBrokersAre: it may stand on the topic before the client that waits for it has asked where that ends.
func TestTheFirstReplyIsReadHoweverLateBrokersAre(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "transactions", "replies"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg := kafka.Config{Brokers: cluster.ListenAddrs(), Transactions: "transactions", Replies: "replies"}
	asker, err := NewAsker(t.Context(), &cfg, "api", 1, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	replied := make(chan struct{})
	cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		cluster.SleepControl(func() { <-replied })
		return nil, nil, false
	})
	go asker.Run(t.Context())

	answers, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"transactions": {0: kgo.NewOffset().At(0)}}),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer answers.Close()
	go func() {
		defer close(replied)
		for _, in := range answers.PollFetches(t.Context()).Records() {
			partition, id, _ := ReplyTo(in)
			reply := ReplyVerdict("replies", partition, id, []byte(`{"a":1}`))
			if err := answers.ProduceSync(t.Context(), &reply).FirstErr(); err != nil {
				t.Error(err)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if r, err := asker.Ask(ctx, nil, []byte("{}")); err != nil || string(r.Payload) != `{"a":1}` {
		t.Errorf("%+v, %v", r, err)
	}
}
