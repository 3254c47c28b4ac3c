package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func embedded(t *testing.T) (*Config, *kgo.Client) {
	t.Helper()
	b, err := StartEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c := valid()
	c.Brokers = b.Brokers()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &c, cl
}

func TestTopicsAreMadeOnceAndGrowWithTheInput(t *testing.T) {
	c, cl := embedded(t)
	if _, err := CheckTopics(t.Context(), cl, c); err == nil || !strings.Contains(err.Error(), "mlmonitor topics") {
		t.Errorf("missing topics: %v", err)
	}
	made, err := EnsureTopics(t.Context(), cl, c, Layout{Partitions: 3, Replication: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range made {
		if !topic.Created || topic.Partitions != 3 {
			t.Errorf("made %+v", topic)
		}
	}
	if _, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), 5, c.Transactions); err != nil {
		t.Fatal(err)
	}
	if _, err := CheckTopics(t.Context(), cl, c); err == nil || !strings.Contains(err.Error(), "grow") {
		t.Errorf("an input that has grown: %v", err)
	}
	made, err = EnsureTopics(t.Context(), cl, c, Layout{Partitions: 3, Replication: -1})
	want := []Topic{{Name: c.Transactions, Partitions: 5}, {Name: c.Verdicts, Partitions: 5, Grown: true}, {Name: c.DeadLetters, Partitions: 5, Grown: true}}
	if diff := cmp.Diff(want, made); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := CheckTopics(t.Context(), cl, c); err != nil {
		t.Error(err)
	}
}

func TestReadGivesWhatIsCommittedAndEnds(t *testing.T) {
	c, cl := embedded(t)
	if _, err := EnsureTopics(t.Context(), cl, c, Layout{Partitions: 2, Replication: -1}); err != nil {
		t.Fatal(err)
	}
	txn, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID("t"), kgo.DefaultProduceTopic(c.Verdicts))
	if err != nil {
		t.Fatal(err)
	}
	defer txn.Close()
	var want []string
	for i := range 20 { // every third transaction is aborted; the last too, so that only its marker stands at the end
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		keep := i%3 != 1
		for j := range 5 {
			value := fmt.Sprintf("%d/%d", i, j)
			if err := txn.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if keep {
				want = append(want, value)
			}
		}
		if err := txn.EndTransaction(t.Context(), kgo.TransactionEndTry(keep)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := Whole(t.Context(), c, c.Verdicts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := Read(t.Context(), c, c.Verdicts, whole, func(r *Record) error { got = append(got, string(r.Value)); return nil }); err != nil {
		t.Fatal(err)
	}
	sorted := cmp.Transformer("set", func(all []string) map[string]int {
		set := map[string]int{}
		for _, s := range all {
			set[s]++
		}
		return set
	})
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Error(diff)
	}
}

func TestTheEmbeddedBrokerKeepsItsDataOnDisk(t *testing.T) {
	dir := t.TempDir()
	c := valid()
	for round := range 3 {
		b, err := StartEmbedded(dir)
		if err != nil {
			t.Fatal(err)
		}
		c.Brokers = b.Brokers()
		if _, err := LayOut(t.Context(), &c, Layout{Partitions: 1, Replication: -1}, false); err != nil {
			t.Fatal(err)
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.DefaultProduceTopic(c.Transactions))
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x"), Timestamp: time.Unix(1, 0)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		whole, err := Whole(t.Context(), &c, c.Transactions)
		if err != nil || whole.To[0] != int64(round+1) {
			t.Errorf("round %d: %+v, %v", round, whole, err)
		}
		b.Close()
	}
}
